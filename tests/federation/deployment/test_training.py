from __future__ import annotations

import os
import resource
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from federation.args import AggregationArgs, FederationArgs
from federation.client_states import ClientState
from federation.client_training import ClientTrainer
from federation.deployment.broadcast import Broadcast
from federation.deployment.local_training import LocalTraining
from federation.deployment.orders import Begin
from federation.deployment.personal_states import PersonalStates
from federation.deployment.trainer import decode_update, encode_update
from federation.deployment.training_process import TrainingProcess
from federation.time_limit import TimeLimit
from federation.vectors import read_vector
from tests.deploy.test_processes import is_alive
from tests.forkserver import CONTEXT
from tests.tiny import TinyData, TinyModule, tiny_fabric, tiny_rounds


def run_out_of_memory() -> None:
    """Ask for more than the process may have; Python and torch raise, and nobody in the process catches it."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
    torch.zeros(2**30)


FIRST = Path("model", "session", "round_0001.safetensors")
FATES = {"crash": partial(os._exit, 9), "hang": partial(time.sleep, 600), "memory": run_out_of_memory}


def load_training(folder: Path, fate: str = "") -> LocalTraining:
    """Return the training of ann, over tiny parts; with a fate, her second round never ends or ends the process."""

    def meet(client: str) -> None:
        if fate and (folder / FIRST).exists():
            FATES[fate]()

    torch.manual_seed(5)
    module = TinyModule()
    data = TinyData(("ann",), before=meet)
    trainer = ClientTrainer(tiny_fabric(), module, data, FederationArgs(local_steps=3), AggregationArgs(), 3)
    newcomer = ClientState.capture(module.personal_parameters())
    return LocalTraining("ann", trainer, PersonalStates(folder, "model", "session", newcomer))


def order(training: LocalTraining, index: int = 0, attempt: int = 0) -> Begin:
    adapter = read_vector(TinyModule().shared_parameters()) * 0 + 0.1
    assert adapter.numel() == training.size
    return Begin(index, attempt, 60.0, Broadcast(1.0, "", adapter))


def test_a_device_trains_as_a_simulation_does(tmp_path):
    training = load_training(tmp_path / "states")
    begin = order(training)
    update = decode_update(training.run(begin.encode()), "ann", begin)
    rounds = tiny_rounds(tiny_fabric(), tmp_path / "rounds", data=TinyData(("ann",)), seed=3)
    state = rounds._new_state()
    state.global_adapter = begin.broadcast.adapter
    simulated = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert torch.equal(update.delta, simulated.update.delta)
    assert (update.signals, update.num_examples) == (simulated.update.signals, simulated.update.num_examples)
    kept = training.states.before(1)
    assert all(map(torch.equal, kept.personal, simulated.personal.personal))


def test_a_round_that_is_tried_again_starts_where_it_started(tmp_path):
    training = load_training(tmp_path)
    first = training.run(order(training).encode())
    training.run(order(training, 1).encode())
    again = training.run(order(training, attempt=1).encode())
    assert first[8:] == again[8:]
    for index in (2, 3):
        training.run(order(training, index).encode())
    assert sorted(path.name for path in (tmp_path / FIRST).parent.iterdir()) == [
        "round_0003.safetensors",
        "round_0004.safetensors",
    ]


def test_an_update_of_another_attempt_is_not_taken(tmp_path):
    training = load_training(tmp_path)
    begin = order(training)
    content = training.run(begin.encode())
    update = decode_update(content, "ann", begin)
    assert encode_update(begin, update) == content
    assert decode_update(content, "ann", order(training, attempt=1)) is None


def test_training_ends_before_the_attempts_deadline(tmp_path, monkeypatch):
    limits = []
    monkeypatch.setattr("federation.client_training.TimeLimit", lambda seconds: limits.append(seconds) or TimeLimit())
    training = load_training(tmp_path)
    training.run(order(training).encode())
    assert limits == [60.0]


def wait_for_update(process: TrainingProcess, begin: Begin, seconds: float = 60.0):
    """Return what training leaves, or None when the time is over or the process has ended."""
    deadline, first = time.monotonic() + seconds, process.pid
    while time.monotonic() < deadline and process.pid == first:
        if (update := process.take(begin)) is not None:
            return update
        time.sleep(0.05)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("fate", FATES)
def test_a_process_that_fails_is_replaced_and_the_rest_go_on(tmp_path, monkeypatch, fate):
    monkeypatch.setattr("federation.deployment.training_process.get_context", lambda _: CONTEXT)  # in less time
    process = TrainingProcess("ann", partial(load_training, tmp_path, fate))
    try:
        process.wait_until_loaded()
        training, first = load_training(tmp_path / "other"), process.pid
        process.start(order(training))
        assert wait_for_update(process, order(training)) is not None
        assert process.pid == first
        process.start(order(training, 1))
        assert wait_for_update(process, order(training, 1), seconds=0.5 if fate == "hang" else 60.0) is None
        (tmp_path / FIRST).unlink()
        if fate != "hang":
            assert process.pid != first  # one that has ended is replaced at once, to be ready for the next attempt
        process.start(order(training, 2))  # the new process has no model yet, and nobody waits for it
        assert process.pid != first
        assert process.take(order(training, 2)) is None
        assert wait_for_update(process, order(training, 2)) is not None  # its order did
        second = process.pid
        process.start(order(training, 3))
        assert wait_for_update(process, order(training, 3)) is not None
        assert process.pid == second
    finally:
        process.close()


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path, capfd):
    (tmp_path / "states").write_text("a file where a folder should be")
    process = TrainingProcess("ann", partial(load_training, tmp_path / "states"))
    with pytest.raises(ValueError, match=r"must load its model\. .*File exists"):
        process.wait_until_loaded()
    process.close()
    assert not capfd.readouterr().err


def keep_training(states: Path, told: Connection) -> None:
    """Be the front of a device until it is killed."""
    process = TrainingProcess("ann", partial(load_training, states))
    process.wait_until_loaded()
    told.send(process.pid)
    time.sleep(600)


@pytest.mark.slow
def test_training_ends_with_a_device_that_is_killed(tmp_path):
    mine, theirs = CONTEXT.Pipe()
    front = CONTEXT.Process(target=keep_training, args=(tmp_path / "states", theirs))
    front.start()
    theirs.close()
    try:
        training = mine.recv()
        assert is_alive(training)
    finally:
        front.kill()
        front.join()
    deadline = time.monotonic() + 60
    while is_alive(training) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(training)
