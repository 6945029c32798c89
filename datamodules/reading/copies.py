"""A recording that lies twice in a person's folder counts once: a copy of what is trained on would be scored."""

from __future__ import annotations

import filecmp
import logging
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)


def find_copies(recordings: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return a person's recordings in their order, each with those that are byte for byte the same as it.

    Of equal files the one with the shortest name counts, as copies are called `IMG_1 (1).mp4`. Only files of one size
    are read.
    """
    by_size: dict[int, list[Path]] = {}
    copies: dict[Path, list[Path]] = {path: [] for path in recordings}
    for path in sorted(recordings, key=lambda path: (len(path.name), path.name)):
        others = by_size.setdefault(path.stat().st_size, [])
        original = next((other for other in others if _is_copy(path, other)), None)
        if original is None:
            others.append(path)
        else:
            log.warning("%s is left out: it is a copy of %s.", path, original.name)
            copies[original].append(path)
            del copies[path]
    return copies


def _is_copy(path: Path, other: Path) -> bool:
    """Whether two files hold the same; empty ones and those that may not be read are told of when they are read."""
    try:
        return path.stat().st_size > 0 and filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False
