"""What a device must not forget: how far it went, and what it already said."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from whole_files import sync, whole_file

Position = tuple[int, int]
"""Round and attempt."""

_POSITION = struct.Struct(">II")
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Answer:
    """A reply that was given, and the digest of the request it was given to."""

    request: bytes
    """SHA-256, 32 bytes."""
    reply: bytes


class Memory(Protocol):
    """Holds the newest attempt of every session, and that attempt's answers. No secrets: they die with the process.

    Whatever a method stores must outlast a crash once it returns, or a device could answer twice.
    """

    def position(self, session: bytes) -> Position | None:
        """Return the latest round and attempt ever begun in a session."""

    def begin(self, session: bytes, position: Position) -> None:
        """Move on to a later attempt, before its first byte is sent; answers of earlier ones are forgotten."""

    def answer(self, session: bytes, stage: int) -> Answer | None:
        """Return what was said at a stage of the latest attempt."""

    def keep(self, session: bytes, stage: int, answer: Answer) -> None:
        """Remember what is about to be said at a stage of the latest attempt."""


class InMemory(Memory):
    """For simulations and tests: forgets with the process, which then must not go on with the session."""

    def __init__(self) -> None:
        self._positions: dict[bytes, Position] = {}
        self._answers: dict[tuple[bytes, int], Answer] = {}

    @override
    def position(self, session: bytes) -> Position | None:
        return self._positions.get(session)

    @override
    def begin(self, session: bytes, position: Position) -> None:
        self._answers = {key: answer for key, answer in self._answers.items() if key[0] != session}
        self._positions[session] = position

    @override
    def answer(self, session: bytes, stage: int) -> Answer | None:
        return self._answers.get((session, stage))

    @override
    def keep(self, session: bytes, stage: int, answer: Answer) -> None:
        self._answers[session, stage] = answer


class FileMemory(Memory):
    """A folder per session, readable by its owner only; every write is on disk before it returns.

    Args:
        folder: Made if missing. Restoring it from a backup makes the device repeat itself: leave it out of backups.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @override
    def position(self, session: bytes) -> Position | None:
        path = self._path(session, "position")
        return _POSITION.unpack(path.read_bytes()) if path.exists() else None

    @override
    def begin(self, session: bytes, position: Position) -> None:
        folder = self.folder / session.hex()
        for new in (self.folder, folder):
            if not new.exists():
                new.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync(new.parent)  # or a power cut could take the folder with the position in it
        _write(folder / "position", _POSITION.pack(*position))
        for old in folder.glob("answer-*"):
            if not old.name.startswith(_answer_prefix(position)):
                old.unlink()

    @override
    def answer(self, session: bytes, stage: int) -> Answer | None:
        path = self._answer_path(session, stage)
        if path is None or not path.exists():
            return None
        content = path.read_bytes()
        return Answer(content[:_DIGEST_BYTES], content[_DIGEST_BYTES:])

    @override
    def keep(self, session: bytes, stage: int, answer: Answer) -> None:
        path = self._answer_path(session, stage)
        if path is None:
            raise RuntimeError("Nothing can be answered before an attempt has begun. Call `begin` first.")
        _write(path, answer.request + answer.reply)

    def _answer_path(self, session: bytes, stage: int) -> Path | None:
        position = self.position(session)
        return None if position is None else self._path(session, f"{_answer_prefix(position)}{stage}")

    def _path(self, session: bytes, name: str) -> Path:
        return self.folder / session.hex() / name


def catch_up(memory: Memory, session: bytes, position: Position | None) -> None:
    """Move a memory on to an attempt that a device's ledger knows of, if it has forgotten that one.

    A home that was put back without its memory would answer again for what it has answered for, with other noise.
    """
    if position is not None and (memory.position(session) or (-1, -1)) < position:
        memory.begin(session, position)


def _answer_prefix(position: Position) -> str:
    # The name holds the attempt, so that an answer left by a crash is never taken for one of a later attempt.
    return f"answer-{position[0]}-{position[1]}-"


def _write(path: Path, content: bytes) -> None:
    """Replace a file as a whole, and return when name and content are on disk."""
    with whole_file(path) as partial:
        partial.write_bytes(content)
