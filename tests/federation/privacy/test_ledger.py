from __future__ import annotations

import json
import os

import pytest

from federation.privacy.accountant import Release
from federation.privacy.ledger import GENESIS, Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "ledger.jsonl"


@pytest.fixture
def heads(path):
    """Write four entries; return the heads after none, one, ... of them."""
    ledger = Ledger(path)
    heads = [ledger.head]
    for index in range(4):
        ledger.charge(index, 0, 1.25, 0.5, clients=8)
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


def test_a_charge_is_on_disk_before_it_returns(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    ledger = Ledger(path)
    ledger.charge(0, 0, 1.0, 0.5)
    assert path.stat().st_size in synced
    assert Ledger(path).releases == ledger.releases


def test_a_failed_write_charges_and_changes_nothing(path, monkeypatch):
    ledger = Ledger(path)
    ledger.charge(0, 0, 1.0, 0.5)
    head = ledger.head

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        ledger.charge(1, 0, 1.0, 0.5)
    assert ledger.head == head
    assert len(ledger.entries) == 1


@pytest.mark.parametrize("kept", range(5))
def test_entries_beyond_a_checkpoints_head_stay_charged(path, heads, kept):
    assert len(Ledger(path, head=heads[kept]).entries) == 4


@pytest.mark.parametrize("kept", range(4))
def test_a_ledger_shorter_than_a_checkpoints_head_is_refused(path, heads, kept):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    with pytest.raises(ValueError, match="rounds are missing"):
        Ledger(path, head=heads[-1])


def test_a_deleted_ledger_is_refused(path, heads):
    path.unlink()
    with pytest.raises(ValueError, match="rounds are missing"):
        Ledger(path, head=heads[1])


def edited(lines):
    return [lines[0].replace(b"1.25", b"9.25"), *lines[1:]]


def dropped(lines):
    return [lines[0], *lines[2:]]


def swapped(lines):
    return [lines[1], lines[0], *lines[2:]]


def repeated(lines):
    return [*lines[:2], lines[1], *lines[2:]]


def beheaded(lines):
    return lines[1:]


@pytest.mark.parametrize("tamper", [edited, dropped, swapped, repeated, beheaded])
def test_a_broken_chain_is_refused(path, heads, tamper):
    path.write_bytes(b"".join(tamper(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(ValueError, match="was altered"):
        Ledger(path)


def test_an_edited_last_line_shows_against_a_kept_head(path, heads):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"1.25", b"9.25")]))
    with pytest.raises(ValueError, match="does not contain"):
        Ledger(path, head=heads[-1])


def test_an_incomplete_last_line_is_named(path, heads):
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"Line 4 .* incomplete"):
        Ledger(path)


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b"{}\n", b'{"previous": 1, "round": 0}\n', b"\xff\xfe\n", b"null\n"]
)
def test_a_line_that_is_no_entry_is_named(path, line):
    path.parent.mkdir()
    path.write_bytes(line)
    with pytest.raises(ValueError, match=r"Line 1 .* no entry"):
        Ledger(path)


@pytest.mark.parametrize("noise_multiplier", [0, -1, float("nan")])
def test_an_impossible_charge_is_refused_and_not_written(path, noise_multiplier):
    with pytest.raises(ValueError, match="noise_multiplier"):
        Ledger(path).charge(0, 0, noise_multiplier, 0.5)
    assert not path.exists()


def test_notes_cannot_replace_what_is_charged(path):
    with pytest.raises(ValueError, match="previous"):
        Ledger(path).charge(0, 0, 1.0, 0.5, previous="x")


def test_two_processes_cannot_write_one_ledger(path):
    one, other = Ledger(path), Ledger(path)
    one.charge(0, 0, 1.0, 0.5)
    with pytest.raises(ValueError, match="another process"):
        other.charge(0, 0, 1.0, 0.5)
    assert len(Ledger(path).entries) == 1


def test_attempts_of_a_round_never_repeat(path):
    ledger = Ledger(path)
    assert ledger.next_attempt(3) == 0
    ledger.charge(3, 0, 1.0, 0.5)
    ledger.charge(3, 4, 1.0, 0.5)
    assert Ledger(path).next_attempt(3) == 5
    assert Ledger(path).next_attempt(2) == 0


def test_lines_are_plain_json(path, heads):
    first = json.loads(path.read_text().splitlines()[0])
    assert first == {
        "previous": GENESIS,
        "round": 0,
        "attempt": 0,
        "noise_multiplier": 1.25,
        "sample_rate": 0.5,
        "clients": 8,
    }
