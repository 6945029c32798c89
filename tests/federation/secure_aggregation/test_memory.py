"""What a device remembers: the same in memory and on disk, and on disk before it is said."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from federation.secure_aggregation.memory import Answer, FileMemory, InMemory, Memory

ANN, BOB = b"a" * 32, b"b" * 32
ANSWER = Answer(b"r" * 32, b"reply")


@pytest.fixture(params=["process", "disk"])
def memory(request, tmp_path) -> Memory:
    return InMemory() if request.param == "process" else FileMemory(tmp_path / "memory")


def test_nothing_is_known_at_first(memory):
    assert memory.position(ANN) is None
    assert memory.answer(ANN, 1) is None


def test_answers_are_of_one_session_stage_and_attempt(memory):
    memory.begin(ANN, (0, 0))
    memory.begin(BOB, (3, 1))
    memory.keep(ANN, 1, ANSWER)
    assert memory.answer(ANN, 1) == ANSWER
    assert memory.answer(ANN, 2) is None
    assert memory.answer(BOB, 1) is None
    memory.begin(ANN, (0, 1))
    assert memory.answer(ANN, 1) is None
    assert memory.position(ANN) == (0, 1)
    assert memory.position(BOB) == (3, 1)


def test_large_and_empty_replies_come_back(memory):
    memory.begin(ANN, (2**32 - 1, 2**32 - 1))
    for stage, reply in enumerate((b"", bytes(100_000)), start=1):
        memory.keep(ANN, stage, Answer(b"r" * 32, reply))
        assert memory.answer(ANN, stage).reply == reply
    assert memory.position(ANN) == (2**32 - 1, 2**32 - 1)


def test_another_process_remembers_what_is_on_disk(tmp_path):
    first = FileMemory(tmp_path)
    first.begin(ANN, (1, 2))
    first.keep(ANN, 3, ANSWER)
    second = FileMemory(tmp_path)
    assert second.position(ANN) == (1, 2)
    assert second.answer(ANN, 3) == ANSWER


def test_only_the_owner_may_read_it(tmp_path):
    memory = FileMemory(tmp_path / "deep" / "memory")
    memory.begin(ANN, (0, 0))
    for folder in (tmp_path / "deep" / "memory", tmp_path / "deep" / "memory" / ANN.hex()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_answer_left_by_a_crash_is_not_of_the_next_attempt(tmp_path, monkeypatch):
    memory = FileMemory(tmp_path)
    memory.begin(ANN, (0, 0))
    memory.keep(ANN, 1, ANSWER)

    def crash(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("answer"):
            raise OSError("crash")

    monkeypatch.setattr(Path, "unlink", crash)
    with pytest.raises(OSError, match="crash"):
        memory.begin(ANN, (0, 1))
    assert FileMemory(tmp_path).position(ANN) == (0, 1)
    assert FileMemory(tmp_path).answer(ANN, 1) is None


def test_everything_is_flushed_before_a_call_returns(tmp_path, monkeypatch):
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (flushed.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    memory = FileMemory(tmp_path)
    memory.begin(ANN, (0, 0))
    assert any(".position." in path for path in flushed)
    assert flushed[-1].endswith(ANN.hex())
    flushed.clear()
    memory.keep(ANN, 1, ANSWER)
    assert flushed[0].endswith(".partial")
    assert flushed[-1].endswith(ANN.hex())


def test_nothing_is_answered_before_an_attempt_has_begun(tmp_path):
    with pytest.raises(RuntimeError, match="begin"):
        FileMemory(tmp_path).keep(ANN, 1, ANSWER)
