from __future__ import annotations

import time
from pathlib import Path

from lightning.fabric import Fabric

from federation.assignment import form_groups, hand_out, longest_first
from federation.exchange import gather
from tests.tiny import run_on

CLIENTS = [f"client{number:02d}" for number in range(20)]


def test_the_longest_come_first_and_unknown_ones_before_them():
    examples = {"ann": 10, "bob": 30, "cleo": 20, "dan": 5}.__getitem__
    assert longest_first(["ann", "bob", "cleo", "dan"], {}, examples) == ["bob", "cleo", "ann", "dan"]
    assert longest_first(["ann", "bob", "cleo"], {"ann": 3.0, "bob": 1.0}, examples) == ["cleo", "ann", "bob"]


def test_groups_keep_the_order_and_leave_no_device_idle():
    assert form_groups("abcdefgh", at_once=1, devices=2) == [(client,) for client in "abcdefgh"]
    assert form_groups("abcdefgh", at_once=3, devices=1) == [("a", "b", "c"), ("d", "e", "f"), ("g", "h")]
    assert form_groups("abcdefgh", at_once=8, devices=2) == [tuple("abcd"), tuple("efgh")]
    assert form_groups("ab", at_once=8, devices=4) == [("a",), ("b",)]
    assert form_groups("", at_once=8, devices=4) == []


def take_all(fabric: Fabric) -> list[list[list[str]]]:
    """Hand out the same clients twice and return what each device got, per hand-out."""
    return [gather(list(hand_out(CLIENTS))) for _ in range(2)]


def test_one_device_without_a_process_group_gets_everybody_in_order():
    assert run_on(None, take_all) == [[CLIENTS], [CLIENTS]]


def test_three_devices_get_each_client_once():
    for parts in run_on(3, take_all):
        assert sorted(client for part in parts for client in part) == CLIENTS


def wait_for_the_others(fabric: Fabric, folder: Path) -> list[list[str]]:
    """Hold the first client until all others are done; a barrier between clients would never let it go."""
    taken = []
    for client in hand_out(CLIENTS):
        deadline = time.monotonic() + 30
        while client == CLIENTS[0] and len(list(folder.iterdir())) < len(CLIENTS) - 1:
            assert time.monotonic() < deadline, "The other device waits for the slow client."
            time.sleep(0.01)
        (folder / client).touch()
        taken.append(client)
    return gather(taken)


def test_a_slow_client_holds_up_nobody(tmp_path):
    assert sorted(map(sorted, run_on(2, wait_for_the_others, tmp_path))) == [CLIENTS[:1], CLIENTS[1:]]
