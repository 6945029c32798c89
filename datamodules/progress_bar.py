"""The progress bar of work on many clips."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

PATIENCE = 2.0
"""Seconds that pass before there is a bar."""

Item = TypeVar("Item")


def progress_bar(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield items with a bar if they take long; warnings on the way keep lines of their own.

    There is no bar where this package may not warn: on all but the first device of a run.
    """
    is_quiet = not logging.getLogger(__package__).isEnabledFor(logging.WARNING)
    with logging_redirect_tqdm():
        yield from tqdm(items, what, total, unit="clip", delay=PATIENCE, mininterval=0.5, disable=is_quiet)
