"""The record of every released round: append-only, on disk before the sum exists, each line sealed by the next."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from federation.privacy.accountant import Release

GENESIS = "0" * 64
"""Head of an empty ledger."""
_FIELDS = {"previous", "round", "attempt", "noise_multiplier", "sample_rate"}


@dataclass(frozen=True)
class Entry:
    """One released round."""

    round: int
    attempt: int
    noise_multiplier: float
    sample_rate: float
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def release(self) -> Release:
        """Return what the accountant counts."""
        return Release(self.noise_multiplier, self.sample_rate)


class Ledger:
    """JSON lines; every line holds the SHA-256 of the line before it.

    Editing, dropping or reordering lines breaks the chain; cutting off the end shows against a head kept elsewhere.
    Lines beyond that head are rounds that were released before a crash: they stay charged. Who can rewrite the
    file *and* every kept head can forge it.
    """

    def __init__(self, path: str | Path, head: str | None = None) -> None:
        """Open or begin a ledger.

        Args:
            path: The file; made, with its folder, at the first charge.
            head: The head some checkpoint remembers; the ledger must contain it.

        Raises:
            ValueError: If the chain is broken, a line is incomplete, or `head` is not in it.
        """
        self.path = Path(path)
        self.entries: list[Entry] = []
        self.head = GENESIS
        heads = {GENESIS}
        content = self.path.read_bytes() if self.path.exists() else b""
        self._size = len(content)
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            self.entries.append(self._verified(line, number))
            self.head = hashlib.sha256(line).hexdigest()
            heads.add(self.head)
        if head is not None and head not in heads:
            raise ValueError(
                f"The privacy ledger {self.path} does not contain the checkpoint's head {head[:12]}: rounds are "
                f"missing (it holds {len(self.entries)}). Restore the ledger, or start a new run."
            )

    @property
    def releases(self) -> list[Release]:
        """Return all charged rounds for the accountant."""
        return [entry.release for entry in self.entries]

    def next_attempt(self, round: int) -> int:
        """Return the least attempt number never charged for this round."""
        return 1 + max((entry.attempt for entry in self.entries if entry.round == round), default=-1)

    def charge(self, round: int, attempt: int, noise_multiplier: float, sample_rate: float, **notes: object) -> Entry:
        """Record a round as spent; when this returns, the line is on disk. Call it before the sum is formed.

        Raises:
            ValueError: If a number is out of range, or the file changed since it was opened.
        """
        Release(noise_multiplier, sample_rate)
        entry = Entry(int(round), int(attempt), float(noise_multiplier), float(sample_rate), notes)
        if clash := _FIELDS & notes.keys():
            raise ValueError(f"A ledger note cannot be named {', '.join(sorted(clash))}.")
        values = {
            "previous": self.head,
            "round": entry.round,
            "attempt": entry.attempt,
            "noise_multiplier": entry.noise_multiplier,
            "sample_rate": entry.sample_rate,
        }
        line = (json.dumps(values | notes, allow_nan=False) + "\n").encode()
        self._append(line)
        self.head = hashlib.sha256(line).hexdigest()
        self.entries.append(entry)
        return entry

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("ab") as file:
            if file.seek(0, os.SEEK_END) != self._size:
                raise ValueError(f"The privacy ledger {self.path} was changed by another process. Run one at a time.")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(line)
        if is_new:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # else a crash may lose the file's name
            finally:
                os.close(folder)

    def _verified(self, line: bytes, number: int) -> Entry:
        if not line.endswith(b"\n"):
            raise ValueError(
                f"Line {number} of the privacy ledger {self.path} is incomplete: the process died while "
                "charging, before anything was released. Delete that line."
            )
        try:
            values = json.loads(line)
            sealed = values["previous"] == self.head
            known = {name: values[name] for name in _FIELDS - {"previous"}}
            notes = {name: value for name, value in values.items() if name not in _FIELDS}
            entry = Entry(**known, notes=notes)
            Release(entry.noise_multiplier, entry.sample_rate)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Line {number} of the privacy ledger {self.path} is no entry: {error}.") from error
        if not sealed:
            raise ValueError(
                f"The privacy ledger {self.path} was altered: line {number} does not follow line {number - 1}."
            )
        return entry
