"""An append-only file of JSON lines, each sealed by the next, on disk before anything depends on it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from whole_files import sync

GENESIS = "0" * 64
"""Head of an empty chain."""

Values = Mapping[str, object]


class HashChain:
    """JSON lines; every line holds the SHA-256 of the line before it.

    Editing, dropping or reordering lines breaks the chain; cutting off the end shows against a head kept elsewhere.
    Who can rewrite the file *and* every kept head can forge it.
    """

    def __init__(self, path: str | Path, head: str | None = None) -> None:
        """Open or begin a chain.

        Args:
            path: The file; made, with its folder, at the first line.
            head: A head that was kept elsewhere; the chain must contain it, and may go on after it.

        Raises:
            ValueError: If the chain is broken, a line is incomplete, or `head` is not in it.
        """
        self.path = Path(path)
        self.lines: list[Values] = []
        self.heads: list[str] = []
        content = self.path.read_bytes() if self.path.exists() else b""
        self._size = len(content)
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            self._take(self._verified(line, number), line)
        if head not in (None, GENESIS, *self.heads):
            raise ValueError(
                f"The privacy ledger {self.path} does not contain the head {head[:12]} that was kept of it: lines are "
                f"missing (it holds {len(self.lines)}). Restore the ledger, or start a new run."
            )

    @property
    def head(self) -> str:
        """Return the SHA-256 of the last line, hexadecimal."""
        return self.heads[-1] if self.heads else GENESIS

    def append(self, values: Values) -> str:
        """Add a line and return the new head; when this returns, the line is on disk.

        Raises:
            ValueError: If the values are no JSON, or the file changed since it was opened.
        """
        line = self._line(values)
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if file.seek(0, os.SEEK_END) != self._size:
                raise ValueError(f"The privacy ledger {self.path} was changed by another process. Run one at a time.")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(self.path.parent)
        self._size += len(line)
        self._take(values, line)
        return self.head

    def _take(self, values: Values, line: bytes) -> None:
        """Remember a line that is on disk."""
        self.lines.append(dict(values))
        self.heads.append(hashlib.sha256(line).hexdigest())

    def _line(self, values: Values) -> bytes:
        if "previous" in values:
            raise ValueError("A ledger's line cannot hold a value named `previous`: that is its seal.")
        return (json.dumps({"previous": self.head, **values}, allow_nan=False) + "\n").encode()

    def _verified(self, line: bytes, number: int) -> Values:
        if not line.endswith(b"\n"):
            raise ValueError(
                f"Line {number} of the privacy ledger {self.path} is incomplete: the process died while writing it, "
                "before anything was released. Delete that line."
            )
        try:
            values = dict(json.loads(line))
            previous = values.pop("previous")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Line {number} of the privacy ledger {self.path} is no entry: {error}.") from error
        if previous != self.head:
            raise ValueError(
                f"The privacy ledger {self.path} was altered: line {number} does not follow line {number - 1}."
            )
        return values
