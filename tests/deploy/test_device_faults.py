"""Devices in processes of their own, asked through their sockets, that crash, sleep, die, lie and come back."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from federation.deployment.frames import receive_frame, send_frame
from federation.flower.relay_nodes import LONGEST
from tests.deploy.faulty_devices import Script
from tests.deploy.faulty_rounds import FaultyRounds, demand_exact, find_leaks, run_rounds
from tests.federation.secure_aggregation.parties import make_names

pytestmark = pytest.mark.slow

NAMES = make_names(5)
SCRIPTS: Mapping[str, Script] = {
    NAMES[0]: {1: "dies before upload"},
    NAMES[1]: {0: "trainer crashes"},
    NAMES[2]: {0: "sleeps"},
    NAMES[3]: {0: "wrong length", 1: "dies after upload"},
    NAMES[4]: {2: "comes with an old round"},
}
SURVIVORS = (
    (NAMES[0], NAMES[1], NAMES[4]),
    (NAMES[1], NAMES[2], NAMES[3], NAMES[4]),
    (NAMES[0], NAMES[1], NAMES[2], NAMES[3]),
)
"""The clients whose vectors are in the sum, by round."""
TAGS = {b"ADV1", b"SHA2", b"MSK3", b"CON4", b"UNM5"}


class SocketNodes:
    """Asks devices on this machine, as the relay does, and keeps what they say."""

    def __init__(self, sockets: list[Path]) -> None:
        self.sockets, self.said = sockets, []
        self.pool = ThreadPoolExecutor(2 * len(sockets))

    def everybody(self) -> list[int]:
        return [number for number, path in enumerate(self.sockets) if path.exists()]

    def ask(self, orders, seconds):
        asked = {self.pool.submit(ask_device, self.sockets[node], order): node for node, order in orders.items()}
        with suppress(TimeoutError):
            for answer in as_completed(asked, timeout=seconds):
                if not answer.exception() and answer.result():
                    self.said.append(answer.result())
                    yield asked[answer], answer.result()


def ask_device(path: Path, order: bytes) -> bytes | None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        send_frame(connection, order)
        return receive_frame(connection, LONGEST)


@contextmanager
def run_faulty(
    place: Path, scripts: Mapping[str, Script], epoch_rounds: int = 1
) -> Iterator[tuple[FaultyRounds, SocketNodes]]:
    for name in NAMES:
        (place / "devices" / name).mkdir(parents=True)
    nodes = SocketNodes([place / "devices" / name / "door" / "socket" for name in NAMES])
    with run_rounds(place, nodes, scripts, 3, lambda *position: None, epoch_rounds) as rounds:
        yield rounds, nodes
    nodes.pool.shutdown()


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Iterator[tuple[FaultyRounds, SocketNodes]]:
    with run_faulty(tmp_path_factory.mktemp("faults"), SCRIPTS) as done:
        yield done


def test_every_round_is_released_from_the_rest_exact_and_charged(done):
    rounds, _ = done
    assert rounds.survivors == SURVIVORS
    demand_exact(rounds)


def test_nothing_but_the_messages_leaves_and_a_crash_does_not_show(done):
    _, nodes = done
    sizes = {tag: {len(message) for message in nodes.said if message[:4] == tag} for tag in TAGS}
    assert {message[:4] for message in nodes.said} == TAGS
    whole = max(sizes[b"MSK3"])
    assert sizes[b"MSK3"] == {whole, whole - 4}  # the one that was cut; one of the others is of a trainer that crashed
    assert len(sizes[b"ADV1"]) == len(sizes[b"CON4"]) == 1


@pytest.mark.parametrize(
    "line",
    [
        "Round 1 goes on without client-0002, client-0003.",
        "client-0003 is out of this round: ",
        "Round 2 goes on without client-0000.",
        "Round 3 goes on without client-0004.",
        "Node 4 is refused: ",
    ],
)
def test_each_fault_is_one_line(done, line):
    rounds, _ = done
    assert sum(line in said for said in rounds.lines) == 1
    assert all("\n" not in said and len(said) < 300 for said in rounds.lines)


def test_the_owner_reads_that_the_training_was_lost(done):
    rounds, _ = done
    log = (rounds.place / "devices" / NAMES[1] / "device.log").read_text()
    assert log.splitlines() == ["Round 1: training left nothing in time. The update is zero."]


def test_in_an_epoch_who_lost_its_keys_or_repeats_itself_is_back_with_the_next_ones(tmp_path):
    """The first two rounds have keys in common: a device dies in the first, another repeats itself in the second."""
    faults: dict[str, Script] = {NAMES[0]: {0: "dies before upload"}, NAMES[4]: {1: "comes with an old round"}}
    with run_faulty(tmp_path, {name: faults.get(name, {}) for name in NAMES}, epoch_rounds=2) as (rounds, nodes):
        assert [list(survivors) for survivors in rounds.survivors] == [NAMES[1:], NAMES[1:4], NAMES]
        demand_exact(rounds)
        said = Counter(message[:4] for message in nodes.said)
        assert said == {b"ADV1": 10, b"SHA2": 10, b"MSK3": 4 + 4 + 5, b"CON4": 4 + 3 + 5, b"UNM5": 4 + 3 + 5}
        assert "Round 2 goes on without client-0000, client-0004." in rounds.lines
        assert sum("client-0004 is out of this round: " in line for line in rounds.lines) == 1
        log = (tmp_path / "devices" / NAMES[0] / "device.log").read_text()
        assert "client-0000 shares no keys for round 1. It waits for the next epoch." in log


def test_nobodys_data_or_secret_is_with_the_server(done):
    rounds, _ = done
    leak = rounds.place / "run" / "leak"
    assert find_leaks(rounds) == []
    leak.write_bytes(b"x" + rounds.vectors((0, 0))[NAMES[0]].tobytes())
    assert find_leaks(rounds) == ["leak"]
    leak.unlink()
