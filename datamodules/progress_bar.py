"""The progress bar of work on many clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from datamodules.first_device import is_first_device

PATIENCE = 2.0
"""Seconds before a bar appears."""

Item = TypeVar("Item")


def progress_bar(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield items with a bar on a run's first device if they take long; warnings on the way keep lines of their own."""
    hidden = not is_first_device()
    with logging_redirect_tqdm():
        yield from tqdm(items, what, total, unit="clip", delay=PATIENCE, mininterval=0.5, disable=hidden)
