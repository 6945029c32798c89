"""What is said of a recording while it is read: once, and again when its clips are used again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noted_remarks() -> Iterator[list[str]]:
    """Collect what this package warns of, once each, instead of logging it; also on devices that log nothing."""
    said: list[str] = []
    package = logging.getLogger(__package__)
    note = logging.Handler(logging.WARNING)
    note.emit = lambda record: said.append(text) if (text := record.getMessage()) not in said else None
    before = package.propagate, package.level
    package.addHandler(note)
    package.propagate, package.level = False, logging.WARNING
    try:
        yield said
    finally:
        package.removeHandler(note)
        package.propagate, package.level = before
