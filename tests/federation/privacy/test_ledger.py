"""Every release counts, also a retried or discarded one; an attempt aborted before it does not; nothing rolls back."""

from __future__ import annotations

import json

import pytest

from federation.privacy.accountant import Release
from federation.privacy.chain import GENESIS, HashChain
from federation.privacy.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "ledger.jsonl"


@pytest.fixture
def heads(path):
    """Charge four rounds; return the heads after none, one, ... of them."""
    ledger = Ledger(path)
    heads = [ledger.head]
    for index in range(4):
        ledger.charge(index, ledger.begin(index), 1.25, 0.5, clients=8)
        heads.append(ledger.head)
    return heads


def test_entries_survive_reopening(path, heads):
    ledger = Ledger(path, head=heads[-1])
    assert [entry.round for entry in ledger.entries] == [0, 1, 2, 3]
    assert ledger.entries[2].notes == {"clients": 8}
    assert ledger.releases == [Release(1.25, 0.5)] * 4
    assert ledger.head == heads[-1]


def test_an_empty_ledger_leaves_no_file(path):
    assert Ledger(path).head == GENESIS
    assert not path.exists()


@pytest.mark.parametrize("kept", range(5))
def test_entries_beyond_a_checkpoints_head_stay_charged(path, heads, kept):
    assert len(Ledger(path, head=heads[kept]).entries) == 4


@pytest.mark.parametrize("kept", range(8))
def test_a_rolled_back_ledger_is_refused(path, heads, kept):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    with pytest.raises(ValueError, match="lines are missing"):
        Ledger(path, head=heads[-1])


def test_an_attempt_that_is_not_released_costs_nothing_and_its_number_is_never_used_again(path):
    assert Ledger(path).begin(0) == 0
    assert Ledger(path).begin(0) == 1
    ledger = Ledger(path)
    assert ledger.releases == []
    ledger.charge(0, 1, 1.0, 0.5)
    assert Ledger(path).next_attempt(0) == 2
    assert Ledger(path).next_attempt(1) == 0


def test_the_number_of_an_attempt_is_on_disk_before_it_is_told(path, monkeypatch):
    written = []
    append = HashChain.append
    monkeypatch.setattr(HashChain, "append", lambda *args: (append(*args), written.append(path.read_text()))[0])
    assert Ledger(path).begin(3) == 0
    assert json.loads(written[0])["attempt"] == 0


def test_a_retried_and_a_discarded_release_are_both_charged(path):
    ledger = Ledger(path)
    for _ in range(2):
        ledger.charge(0, ledger.begin(0), 1.0, 0.5)
    assert Ledger(path).releases == [Release(1.0, 0.5)] * 2


@pytest.mark.parametrize(("attempt", "begun"), [(0, 1), (1, 1)])
def test_an_attempt_is_charged_once_and_only_the_newest(path, attempt, begun):
    ledger = Ledger(path)
    for _ in range(begun + 1):
        ledger.begin(0)
    ledger.charge(0, begun, 1.0, 0.5)
    with pytest.raises(ValueError, match="newest attempt"):
        ledger.charge(0, attempt, 1.0, 0.5)
    assert len(Ledger(path).entries) == 1


def test_the_last_release_moves_by_charges_only(path):
    ledger, seen = Ledger(path), [GENESIS]
    for round in range(2):
        attempt = ledger.begin(round)
        assert ledger.released == Ledger(path).released == seen[-1] != ledger.head
        ledger.charge(round, attempt, 1.0, 0.5)
        seen.append(ledger.released)
        assert ledger.released == ledger.head == Ledger(path).released
    assert len(set(seen)) == 3


@pytest.mark.parametrize("numbers", [(0, 0, 0.0, 0.5), (0, 0, -1.0, 0.5), (0, 0, float("nan"), 0.5), (-1, 0, 1.0, 0.5)])
def test_an_impossible_charge_is_refused_and_not_written(path, numbers):
    with pytest.raises(ValueError, match="must be"):
        Ledger(path).charge(*numbers)
    assert not path.exists()


@pytest.mark.parametrize("name", ["event", "previous"])
def test_notes_cannot_replace_what_is_charged(path, name):
    with pytest.raises(ValueError, match=name):
        Ledger(path).charge(0, 0, 1.0, 0.5, **{name: "x"})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"event": "refund", "round": 0, "attempt": 0},
        {"event": "release", "round": 0, "attempt": 0, "noise_multiplier": -1.0, "sample_rate": 0.5},
        {"event": "release", "round": "0", "attempt": 0, "noise_multiplier": 1.0, "sample_rate": 0.5},
        {"event": "attempt", "round": 0},
    ],
)
def test_a_line_that_is_no_entry_is_named(path, values):
    HashChain(path).append(values)
    with pytest.raises(ValueError, match=r"Line 1 .* no entry"):
        Ledger(path)


def test_lines_are_plain_json(path, heads):
    attempt, release = (json.loads(line) for line in path.read_text().splitlines()[:2])
    assert attempt == {"previous": GENESIS, "event": "attempt", "round": 0, "attempt": 0}
    release.pop("previous")
    assert release == {
        "event": "release",
        "round": 0,
        "attempt": 0,
        "noise_multiplier": 1.25,
        "sample_rate": 0.5,
        "clients": 8,
    }
