"""A lock on a folder: one process at a time works in it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock_folder(folder: Path, refusal: str) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if need be, until the context or this process ends.

    Args:
        folder: Its file `occupied` is locked. The file stays there; only the lock on it means anything.
        refusal: What to say if another process is in.

    Raises:
        ValueError: If another process is in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "occupied").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(refusal) from None
        yield
