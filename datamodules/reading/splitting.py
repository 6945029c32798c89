"""How a recording becomes clips, and a person's clips become train, val and test."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

from datamodules.clips import FPS

SPLITS = ("train", "val", "test")

LONGEST = 4 * FPS
"""Frames up to which a recording stays whole."""

LENGTH = 3 * FPS
"""Frames of the clips that a longer recording is cut into."""

GAP = FPS // 5
"""Frames left out between two clips, so that what is scored does not touch what was trained on."""

SHORTEST_TAIL = 3 * FPS / 2
"""Frames below which the rest of a recording joins the clip before it."""

Item = TypeVar("Item")

log = logging.getLogger(__name__)


def cut_recording(frames: int) -> list[range]:
    """Return the frames of each clip of a recording: about 3 s each, never overlapping, a gap between them."""
    if frames <= LONGEST:
        return [range(frames)]
    starts = range(0, frames, LENGTH + GAP)
    clips = [range(start, start + LENGTH) for start in starts]
    clips[-1] = range(clips[-1].start, frames)
    if len(clips[-1]) < SHORTEST_TAIL:
        clips[-2:] = [range(clips[-2].start, frames)]
    return clips


def split_clips(person: str, clips: Sequence[Item]) -> dict[str, list[Item]]:
    """Share a person's clips among train, val and test, the last ones held out.

    One clip is trained on and not scored, two are train and test, from three on a tenth (at least one) goes to val and
    a fifth (at least one) to test.
    """
    held = max(1, round(len(clips) / 5)) if len(clips) > 1 else 0
    watched = max(1, round(len(clips) / 10)) if len(clips) > 2 else 0
    if not held:
        log.warning("%s has a single clip: it is trained on and not scored.", person)
    train = len(clips) - held - watched
    return {
        "train": list(clips[:train]),
        "val": list(clips[train : train + watched]),
        "test": list(clips[train + watched :]),
    }
