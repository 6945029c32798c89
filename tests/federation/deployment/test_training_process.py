"""What becomes of an order when another one comes: the rounds of a server whose attempts are refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch

from federation.deployment.broadcast import Broadcast
from federation.deployment.orders import Begin
from federation.deployment.trainer import encode_update
from federation.deployment.training_process import TrainingProcess
from federation.update import ClientSignals, ClientUpdate
from tests.federation.deployment.test_training import wait_for_update
from tests.forkserver import CONTEXT

pytestmark = pytest.mark.slow

LOADING, SIZE = 1.5, 3


@dataclass
class SlowTraining:
    """Writes down the orders it gets, and takes its time until it is told that it is over."""

    notes: Path

    def run(self, content: bytes) -> bytes:
        begin = Begin.decode(content, SIZE)
        with (self.notes / "orders").open("a") as file:
            file.write(f"{begin.round} {begin.attempt} {begin.training}\n")
        while not (self.notes / "over").exists():
            time.sleep(0.02)
        update = ClientUpdate("ann", begin.broadcast.adapter + 1, 7, ClientSignals(0.5, 0.5))
        return encode_update(begin, update)


def load_slowly(notes: Path) -> SlowTraining:
    """Return the training, the second time a while after it was asked for."""
    if (notes / "orders").exists():
        time.sleep(LOADING)
    return SlowTraining(notes)


def read_orders(notes: Path, least: int) -> list[list[float]]:
    """Return the orders that training has been given, once there are as many."""
    path, deadline = notes / "orders", time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and len(lines := path.read_text().splitlines()) >= least:
            return [[float(number) for number in line.split()] for line in lines]
        time.sleep(0.02)
    raise TimeoutError


@pytest.fixture
def slow(tmp_path, monkeypatch) -> Iterator[TrainingProcess]:
    monkeypatch.setattr("federation.deployment.training_process.get_context", lambda _: CONTEXT)
    process = TrainingProcess("ann", partial(load_slowly, tmp_path))
    process.wait_until_loaded()
    yield process
    process.close()


def attempt(number: int, index: int = 0, value: float = 0.0, training: float = 60.0) -> Begin:
    """Return an order as a server gives it: its ledger has moved since the last one."""
    return Begin(index, number, training, Broadcast(1.0, f"{number:064x}", torch.full((SIZE,), value)))


def test_a_round_that_is_begun_again_keeps_the_training_that_runs(tmp_path, slow):
    slow.start(attempt(0))
    read_orders(tmp_path, 1)
    first = slow.pid
    slow.start(attempt(1))
    assert slow.take(attempt(1)) is None
    (tmp_path / "over").touch()
    assert wait_for_update(slow, attempt(1)).delta.tolist() == [1.0] * SIZE
    slow.start(attempt(2))  # what is done is not done again
    assert slow.take(attempt(2)) is not None
    assert (slow.pid, len(read_orders(tmp_path, 1))) == (first, 1)


@pytest.mark.parametrize(
    "other", [attempt(1, index=1), attempt(1, value=2.0), attempt(1, training=30.0)], ids=["round", "adapter", "time"]
)
def test_another_order_reaches_the_process_that_takes_over_with_the_time_that_is_left(tmp_path, slow, other):
    slow.start(attempt(0))
    read_orders(tmp_path, 1)
    first = slow.pid
    slow.start(other)
    assert slow.pid != first
    begun = read_orders(tmp_path, 2)[1]
    assert begun[:2] == list(other.position)
    assert other.training - 30 < begun[2] <= other.training - LOADING
    (tmp_path / "over").touch()
    assert slow.take(attempt(0)) is None
    assert wait_for_update(slow, other).delta.tolist() == (other.broadcast.adapter + 1).tolist()
    assert slow.take(attempt(0)) is None


def test_of_orders_that_wait_for_the_model_the_last_is_trained(tmp_path, slow):
    slow.start(attempt(0))
    read_orders(tmp_path, 1)
    slow.start(attempt(1, index=1))
    second = slow.pid
    slow.start(attempt(2, index=1))
    slow.start(attempt(3, index=2))
    assert slow.pid == second  # loading is not begun anew: it might never end
    assert [begun[:2] for begun in read_orders(tmp_path, 2)] == [[0, 0], [2, 3]]


def test_an_order_whose_time_is_over_before_the_model_is_there_is_not_begun(tmp_path, slow):
    slow.start(attempt(0))
    read_orders(tmp_path, 1)
    slow.start(attempt(1, index=1, training=LOADING / 10))
    slow.wait_until_loaded()
    (tmp_path / "over").touch()
    slow.start(attempt(2, index=2))
    assert wait_for_update(slow, attempt(2, index=2)) is not None
    assert [begun[:2] for begun in read_orders(tmp_path, 2)] == [[0, 0], [2, 2]]


def test_training_that_is_late_is_not_waited_for_again(tmp_path, slow):
    slow.start(attempt(0, training=0.2))
    read_orders(tmp_path, 1)
    first = slow.pid
    time.sleep(0.3)
    slow.start(attempt(1, training=0.2))
    assert slow.pid != first
