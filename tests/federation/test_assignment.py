from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from lightning.fabric import Fabric

from federation.assignment import hand_out, longest_first
from federation.checkpoints import RoundFolders
from federation.exchange import gather
from tests.tiny import run_on

CLIENTS = [f"client{number:02d}" for number in range(20)]


def test_the_longest_come_first_and_unknown_ones_before_them():
    examples = {"ann": 10, "bob": 30, "cleo": 20, "dan": 5}.__getitem__
    assert longest_first(["ann", "bob", "cleo", "dan"], {}, examples) == ["bob", "cleo", "ann", "dan"]
    assert longest_first(["ann", "bob", "cleo"], {"ann": 3.0, "bob": 1.0}, examples) == ["cleo", "ann", "bob"]


def take_all(fabric: Fabric, folder: Path) -> list[list[list[str]]]:
    """Hand out the same clients in two rounds and return what each device got, per round."""
    folders = RoundFolders(folder)
    return [gather(list(hand_out(CLIENTS, partial(folders.claim, rounds_done=rounds_done)))) for rounds_done in (1, 2)]


def test_one_device_without_a_process_group_gets_everybody_in_order(tmp_path):
    assert run_on(None, take_all, tmp_path) == [[CLIENTS], [CLIENTS]]


def test_three_devices_get_each_client_once(tmp_path):
    for parts in run_on(3, take_all, tmp_path):
        assert sorted(client for part in parts for client in part) == CLIENTS


def wait_for_the_others(fabric: Fabric, folder: Path) -> list[list[str]]:
    """Hold the first client until all others are done; a barrier between clients would never let it go."""
    taken, claim = [], partial(RoundFolders(folder / "rounds").claim, rounds_done=1)
    for client in hand_out(CLIENTS, claim):
        deadline = time.monotonic() + 30
        while client == CLIENTS[0] and len(list(folder.glob("client*"))) < len(CLIENTS) - 1:
            assert time.monotonic() < deadline, "The other device waits for the slow client."
            time.sleep(0.01)
        (folder / client).touch()
        taken.append(client)
    return gather(taken)


def test_a_slow_client_holds_up_nobody(tmp_path):
    assert sorted(map(sorted, run_on(2, wait_for_the_others, tmp_path))) == [CLIENTS[:1], CLIENTS[1:]]
