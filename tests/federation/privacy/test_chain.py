"""The chain shows every edit, is on disk before it says so, and belongs to one process."""

from __future__ import annotations

import json
import os

import pytest

from federation.privacy.chain import GENESIS, HashChain


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "chain.jsonl"


@pytest.fixture
def heads(path):
    """Write four lines; return the heads after none, one, ... of them."""
    chain = HashChain(path)
    return [chain.head, *(chain.append({"value": 1.25, "index": index}) for index in range(4))]


def test_lines_survive_reopening(path, heads):
    chain = HashChain(path, head=heads[-1])
    assert [line["index"] for line in chain.lines] == [0, 1, 2, 3]
    assert chain.head == heads[-1]
    assert json.loads(path.read_text().splitlines()[0]) == {"previous": GENESIS, "value": 1.25, "index": 0}


def test_an_empty_chain_leaves_no_file(path):
    assert HashChain(path).head == GENESIS
    assert not path.exists()


def test_a_line_is_on_disk_before_append_returns(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    HashChain(path).append({"value": 1})
    assert path.stat().st_size in synced


def test_a_failed_write_changes_nothing(path, monkeypatch):
    chain = HashChain(path)
    head = chain.append({"value": 1})

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        chain.append({"value": 2})
    assert chain.head == head
    assert len(chain.lines) == 1


@pytest.mark.parametrize("kept", range(5))
def test_lines_beyond_a_kept_head_stay(path, heads, kept):
    assert len(HashChain(path, head=heads[kept]).lines) == 4


@pytest.mark.parametrize("kept", range(4))
def test_a_chain_shorter_than_a_kept_head_is_refused(path, heads, kept):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    with pytest.raises(ValueError, match="lines are missing"):
        HashChain(path, head=heads[-1])


def test_a_deleted_chain_is_refused(path, heads):
    path.unlink()
    with pytest.raises(ValueError, match="lines are missing"):
        HashChain(path, head=heads[1])


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
        HashChain(path)


def test_an_edited_last_line_shows_against_a_kept_head(path, heads):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"1.25", b"9.25")]))
    with pytest.raises(ValueError, match="does not contain"):
        HashChain(path, head=heads[-1])


def test_an_incomplete_last_line_is_named(path, heads):
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"Line 4 .* incomplete"):
        HashChain(path)


@pytest.mark.parametrize("line", [b"garbage\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"null\n"])
def test_a_line_that_is_no_entry_is_named(path, line):
    path.parent.mkdir()
    path.write_bytes(line)
    with pytest.raises(ValueError, match=r"Line 1 .* no entry"):
        HashChain(path)


@pytest.mark.parametrize("values", [{"previous": "x"}, {"value": float("nan")}])
def test_values_that_would_break_the_chain_are_not_written(path, values):
    with pytest.raises(ValueError, match=r"previous|JSON"):
        HashChain(path).append(values)
    assert not path.exists()


def test_two_processes_cannot_write_one_chain(path):
    one, other = HashChain(path), HashChain(path)
    one.append({"value": 1})
    with pytest.raises(ValueError, match="another process"):
        other.append({"value": 1})
    assert len(HashChain(path).lines) == 1
