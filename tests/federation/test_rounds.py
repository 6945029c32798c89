from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch.optim import AdamW

from federation.args import AggregationArgs, ClippingArgs, FederationArgs
from federation.client_states import ClientState
from federation.cohort import Cohort, RoundRefusedError
from federation.exchange import gather
from federation.hooks import FederationCallback
from federation.rounds import MOST_REFUSALS
from federation.update import Aggregate, RoundState
from tests.tiny import NAMES, Recorder, TinyData, TinyModule, run_on, tiny_fabric, tiny_rounds


def read_run(folder: Path) -> dict[str, np.ndarray]:
    """Return every number the newest round holds: server and clients."""
    from safetensors.numpy import load_file

    newest = sorted(folder.glob("round_????"))[-1]
    files = sorted(newest.rglob("*.safetensors"))
    return {f"{path.relative_to(newest)}:{name}": value for path in files for name, value in load_file(path).items()}


def assert_same_runs(one: Path, other: Path) -> None:
    first, second = read_run(one), read_run(other)
    assert first.keys() == second.keys()
    assert len(first) > 2
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


def run_rounds(fabric: Fabric, folder: Path, clients: tuple[str, ...], private: bool = True) -> dict[str, object]:
    """Run two rounds and return what every device saw."""
    recorder = Recorder()
    state = tiny_rounds(fabric, folder, data=TinyData(clients), observers=[recorder], private=private).run()
    return {
        "trained": gather(recorder.trained),
        "adapters": gather(state.global_adapter.numpy().tobytes()),
        "metrics": {name: value for name, value in state.metrics.items() if "seconds" not in name},
    }


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("one") / "rounds"
    return folder, run_rounds(tiny_fabric(), folder, NAMES[:5])


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_any_number_of_devices_gives_the_same_bits(tmp_path, one_device, devices):
    folder, alone = one_device
    together = run_on(devices, run_rounds, tmp_path, NAMES[:5])
    assert set(together["adapters"]) == set(alone["adapters"])
    assert len(set(together["adapters"])) == 1
    assert together["metrics"] == alone["metrics"]
    assert_same_runs(tmp_path, folder)


@pytest.mark.slow
def test_every_client_trains_once_a_round_wherever(tmp_path):
    together = run_on(3, run_rounds, tmp_path, NAMES)
    trained = sorted(entry for device in together["trained"] for entry in device)
    assert trained == [(index, client) for index in (0, 1) for client in sorted(NAMES)]


@pytest.mark.slow
def test_a_device_without_a_client_joins(tmp_path):
    together = run_on(3, run_rounds, tmp_path, NAMES[:2])
    assert sorted(map(len, together["trained"])) != [2, 2, 2]
    assert sum(map(len, together["trained"])) == 4


@pytest.mark.slow
@pytest.mark.parametrize("private", [True, False], ids=["residues", "float64"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path, private):
    settings = {"private": private, "seed": 11}
    tiny_rounds(tiny_fabric(), tmp_path / "whole", federation=FederationArgs(rounds=4, local_steps=2), **settings).run()
    for rounds in (1, 3, 4):
        federation = FederationArgs(rounds=rounds, local_steps=2)
        torch.rand(rounds)
        tiny_rounds(tiny_fabric(), tmp_path / "parts", federation=federation, resume=True, **settings).run()
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_crash_in_a_round_costs_only_that_round(tmp_path):
    class Crash(FederationCallback):
        def on_release(self, state):
            if state.index == 1:
                raise KeyboardInterrupt

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    tiny_rounds(tiny_fabric(), whole).run()
    with pytest.raises(KeyboardInterrupt):
        tiny_rounds(tiny_fabric(), parts, observers=[Crash()]).run()
    assert sorted(path.name for path in parts.iterdir()) == ["round_0001", "round_0002.partial"]
    tiny_rounds(tiny_fabric(), parts, resume=True).run()
    assert_same_runs(whole, parts)


def test_a_new_run_does_not_write_over_an_old_one(tmp_path):
    tiny_rounds(tiny_fabric(), tmp_path).run()
    with pytest.raises(
        ValueError, match=r"must hold no rounds for a new run\. Got 2 rounds\. Continue with `--resume`"
    ):
        tiny_rounds(tiny_fabric(), tmp_path)


def test_resuming_with_another_frozen_part_is_refused(tmp_path):
    tiny_rounds(tiny_fabric(), tmp_path).run()
    with pytest.raises(ValueError, match="The frozen part of the model must be the one the run was started with"):
        tiny_rounds(tiny_fabric(), tmp_path, module=TinyModule(), resume=True)


def test_a_run_cannot_end_before_the_rounds_that_are_done(tmp_path):
    tiny_rounds(tiny_fabric(), tmp_path, federation=FederationArgs(rounds=2, local_steps=1)).run()
    fewer = FederationArgs(rounds=1, local_steps=1)
    with pytest.raises(ValueError, match="must be at least 2, the rounds that are done"):
        tiny_rounds(tiny_fabric(), tmp_path, federation=fewer, resume=True)


def test_a_finished_run_resumes_to_nothing(tmp_path):
    tiny_rounds(tiny_fabric(), tmp_path).run()
    recorder = Recorder()
    state = tiny_rounds(tiny_fabric(), tmp_path, observers=[recorder], resume=True).run()
    assert recorder.trained == []
    assert state.index == 2


class Choose(FederationCallback):
    """Visible sampling on rank 0; other devices would choose otherwise."""

    def on_round_start(self, state: RoundState) -> None:
        cohorts = ((), ("bob",), state.clients)
        state.clients = cohorts[state.index] if state.is_main else ("ann",)
        state.clip_norm = 2.0 + state.index if state.is_main else 0.0
        state.notes["coins"] = state.index if state.is_main else -1


def run_sampled(fabric: Fabric, folder: Path) -> list[list[tuple[int, tuple[str, ...], float, float, dict[str, int]]]]:
    recorder = Recorder()
    federation = FederationArgs(rounds=3, local_steps=2)
    tiny_rounds(fabric, folder, federation=federation, observers=[Choose(), recorder]).run()
    seen = [(s.index, s.clients, s.clip_norm, s.metrics["released/step_norm"], s.notes) for s in recorder.states]
    return gather(seen)


@pytest.mark.parametrize("devices", [None, 2])
def test_the_first_devices_decisions_hold_and_an_empty_cohort_is_a_round(tmp_path, devices):
    views = run_on(devices, run_sampled, tmp_path)
    assert all(view == views[0] for view in views)
    assert [(index, clients, clip) for index, clients, clip, *_ in views[0]] == [
        (0, (), 2.0),
        (1, ("bob",), 3.0),
        (2, NAMES[:4], 4.0),
    ]
    assert views[0][0][3] == 0.0
    assert all(step > 0 for _, _, _, step, _ in views[0][1:])
    assert views[0][-1][-1] == {"coins": 2}


def test_notes_and_clip_norm_outlive_the_process(tmp_path):
    federation = FederationArgs(rounds=1, local_steps=1)
    tiny_rounds(tiny_fabric(), tmp_path, federation=federation, observers=[Choose()]).run()
    state = tiny_rounds(tiny_fabric(), tmp_path, federation=federation, resume=True, clip_norm=9.0).run()
    assert (state.clip_norm, state.notes) == (2.0, {"coins": 0})


def test_what_is_noted_after_a_round_is_there_in_the_next_and_saved_with_it(tmp_path):
    class Count(FederationCallback):
        def on_round_end(self, state):
            state.notes = {"ended": state.notes.get("ended", 0) + 1}

    federation = FederationArgs(rounds=3, local_steps=1)
    rounds = tiny_rounds(tiny_fabric(), tmp_path, federation=federation, observers=[Count()])
    assert rounds.run().notes == {"ended": 3}
    assert rounds.folders.latest().notes == {"ended": 2}


class RefusesFirst(Cohort):
    """Refuses every round as often as it can without ending the run."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort, self.left = cohort, MOST_REFUSALS - 1

    def collect(self, state: RoundState) -> None:
        if self.left:
            self.left -= 1
            raise RoundRefusedError("too few devices are there")
        self.left = MOST_REFUSALS - 1
        self.cohort.collect(state)

    def release(self, state: RoundState) -> Aggregate:
        return self.cohort.release(state)


def test_attempts_that_are_refused_are_counted_anew_in_every_round(tmp_path):
    rounds = tiny_rounds(tiny_fabric(), tmp_path, federation=FederationArgs(rounds=2, local_steps=1))
    rounds.cohort = RefusesFirst(rounds.cohort)
    rounds.run()
    assert rounds.server.rounds_done == 2


class StopOn(FederationCallback):
    """The budget of one device is spent."""

    def __init__(self, hook: str, rank: int, own_rank: int) -> None:
        self.hook, self.here = hook, rank == own_rank
        self.calls: list[str] = []

    def on_round_start(self, state: RoundState) -> None:
        self.note("on_round_start", state)

    def on_release(self, state: RoundState) -> None:
        self.note("on_release", state)

    def on_round_end(self, state: RoundState) -> None:
        self.note("on_round_end", state)

    def on_run_end(self, state: RoundState) -> None:
        self.calls.append("on_run_end")

    def note(self, hook: str, state: RoundState) -> None:
        self.calls.append(f"{hook} {state.index}")
        state.stop |= self.here and hook == self.hook and state.index == 1


def run_until_stopped(fabric: Fabric, folder: Path, hook: str, rank: int) -> list[tuple[list[str], bool, bytes]]:
    stop = StopOn(hook, rank, fabric.global_rank)
    state = tiny_rounds(fabric, folder, observers=[stop], federation=FederationArgs(rounds=3, local_steps=1)).run()
    return gather((stop.calls, state.stop, state.global_adapter.numpy().tobytes()))


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "rank"), [(None, 0), (2, 1)])
@pytest.mark.parametrize("hook", ["on_round_start", "on_release"])
def test_a_stop_on_any_device_ends_the_run_before_the_sum(tmp_path, devices, rank, hook):
    views = run_on(devices, run_until_stopped, tmp_path, hook, rank)
    last = ["on_round_start 1", "on_release 1"] if hook == "on_release" else ["on_round_start 1"]
    for calls, stopped, adapter in views:
        assert calls == ["on_round_start 0", "on_release 0", "on_round_end 0", *last, "on_run_end"]
        assert stopped
        assert adapter == read_run(tmp_path)["server.safetensors:global_adapter"].tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["round_0001"]


class Log(FederationCallback):
    """Writes down which hook of which part was called."""

    def __init__(self, name: str, calls: list[str]) -> None:
        for hook in [member for member in dir(FederationCallback) if member.startswith("on_")]:
            setattr(self, hook, lambda *args, call=f"{name}.{hook}": calls.append(call))


def test_hooks_come_in_order_and_server_halves_in_reverse(tmp_path):
    calls: list[str] = []
    rounds = tiny_rounds(
        tiny_fabric(), tmp_path, data=TinyData(("ann",)), federation=FederationArgs(rounds=1, local_steps=1)
    )
    rounds.hooks.pipeline[:] = [Log("first", calls), *rounds.hooks.pipeline, Log("last", calls)]
    rounds.hooks.observers[:] = [Log("observer", calls)]
    rounds.run()
    order = (
        "run_start",
        "round_start",
        "step",
        "client_update",
        "cohort_ready",
        "release",
        "aggregate",
        "round_end",
        "run_end",
    )
    expected = []
    for hook in order:
        parts = ("last", "first", "observer") if hook == "aggregate" else ("first", "last", "observer")
        expected += [f"{part}.on_{hook}" for part in parts]
    assert calls == expected


def integers(folder: Path, aggregation: str, gamma: float) -> dict[tuple[int, str], bytes]:
    recorder = Recorder()
    federation = FederationArgs(rounds=2, local_steps=3, aggregation=aggregation)
    tiny_rounds(
        tiny_fabric(), folder, federation=federation, aggregation=AggregationArgs(gamma=gamma), observers=[recorder]
    ).run()
    return {key: update.integers.tobytes() for key, update in zip(recorder.trained, recorder.updates, strict=True)}


def test_isfa_without_gamma_sends_the_integers_of_fedavg(tmp_path):
    fedavg = integers(tmp_path / "fedavg", "fedavg", 0.0)
    assert integers(tmp_path / "isfa", "isfa", 0.0) == fedavg
    assert integers(tmp_path / "weighed", "isfa", 0.5) != fedavg


def test_without_privacy_the_step_is_the_textbook_weighted_mean(tmp_path):
    recorder = Recorder()
    rounds = tiny_rounds(
        tiny_fabric(),
        tmp_path,
        federation=FederationArgs(rounds=1, aggregation="fedavg"),
        aggregation=AggregationArgs(gamma=0.0),
        observers=[recorder],
        private=False,
    )
    start = rounds.server.global_adapter.clone()
    moved = rounds.run().global_adapter - start
    deltas = np.stack([update.delta.numpy() for update in recorder.updates])
    expected = np.average(deltas, axis=0, weights=[min(update.num_examples, 500) for update in recorder.updates])
    np.testing.assert_allclose(moved.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("private", [True, False])
def test_a_device_holds_no_clients_plain_vectors_when_all_have_trained(tmp_path, private):
    class Look(FederationCallback):
        def on_cohort_ready(self, state, updates):
            seen.extend((update.delta.numel(), update.vector, update.integers is None) for update in updates)

    seen: list[tuple[int, object, bool]] = []
    tiny_rounds(tiny_fabric(), tmp_path, federation=FederationArgs(rounds=1), observers=[Look()], private=private).run()
    assert seen == [(0, None, not private)] * 4


def test_a_hook_can_put_any_clients_adapters_into_the_module(tmp_path):
    class Look(FederationCallback):
        def on_round_end(self, state):
            for client in (None, "ann", "bob"):
                state.load_adapters(client)
                shared = torch.cat([parameter.detach().flatten() for parameter in module.shared_parameters()])
                assert torch.equal(shared, state.global_adapter)
                seen[client] = module.personal.weight.detach().clone()

    module, seen = TinyModule(), {}
    initial = module.personal.weight.detach().clone()
    rounds = tiny_rounds(tiny_fabric(), tmp_path, module=module, observers=[Look()])
    rounds.run()
    assert torch.equal(seen[None], initial)
    for client in ("ann", "bob"):
        assert torch.equal(seen[client], ClientState.load(rounds.folders.client_file(client, 2)).personal[0])


def test_figures_tell_what_is_released_from_what_is_local(tmp_path):
    metrics = tiny_rounds(tiny_fabric(), tmp_path).run().metrics
    assert {name.split("/")[0] for name in metrics} == {"released", "local"}
    assert {name for name in metrics if name.startswith("released/")} == {"released/step_norm", "released/seconds"}
    losses = [metrics[f"local/loss/{client}"] for client in NAMES[:4]]
    assert metrics["local/loss"] == pytest.approx(np.mean(losses))


@pytest.mark.slow
def test_adapters_learn(tmp_path):
    losses = [
        state.metrics["local/flip"]
        for state in learn(tmp_path, FederationArgs(rounds=8, local_steps=10, aggregation="fedavg"))
    ]
    assert losses[-1] < 0.7 * losses[0]


def learn(folder: Path, federation: FederationArgs) -> list[RoundState]:
    recorder = Recorder()
    tiny_rounds(tiny_fabric(), folder, federation=federation, observers=[recorder]).run()
    return recorder.states


class SharedOnly(TinyModule):
    """Has no personal part."""

    def personal_parameters(self):
        return []

    def configure_optimizers(self):
        return {"shared": AdamW(self.shared_parameters(), lr=self.learning_rate)}


def test_without_a_personal_part_no_client_has_a_file_and_a_run_goes_on(tmp_path):
    def run(rounds: int, folder: str, **kwargs) -> RoundState:
        torch.manual_seed(5)
        federation = FederationArgs(rounds=rounds, local_steps=2)
        return tiny_rounds(tiny_fabric(), tmp_path / folder, module=SharedOnly(), federation=federation, **kwargs).run()

    run(1, "two")
    assert torch.equal(run(2, "two", resume=True).global_adapter, run(2, "one").global_adapter)
    assert not list(tmp_path.rglob("state.safetensors"))


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_run_knows_from_its_start_how_long_a_vector_it_sends(tmp_path, adaptive):
    seen = []

    class Look(FederationCallback):
        def on_run_start(self, state: RoundState) -> None:
            seen.append(state.wire_size - state.global_adapter.numel())
            state.stop = True

    clipping = ClippingArgs(adaptive=adaptive)
    tiny_rounds(tiny_fabric(), tmp_path, observers=[Look()], clipping=clipping).run()
    assert seen == [1 + adaptive]
