"""All clips of a folder of people, in memory as uint8."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from pathlib import Path

from datamodules.clips import Clip, UnusableFile
from datamodules.cropping import Crop
from datamodules.layouts import find_recordings
from datamodules.recordings import read_recording

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called after each file with the number of files read and of files in all."""


def load_people(
    root: str | Path,
    size: int,
    crop: Crop,
    progress: Progress | None = None,
    people: Collection[str] | None = None,
) -> dict[str, list[Clip]]:
    """Read the clips of `root/<person>/`, in the order of names. A file of no use is named in one line and left out.

    Args:
        root: one folder of recordings per person.
        size: of the frames, in pixels.
        crop: see `cropping.crop_box`.
        progress: see `Progress`.
        people: whose clips are read; None is everyone's.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: nothing in it can be used, or someone of `people` is not in it.
    """
    recordings = find_recordings(root, people)
    total, done = sum(map(len, recordings.values())), 0
    loaded: dict[str, list[Clip]] = {}
    for person, paths in recordings.items():
        clips: list[Clip] = []
        for path in paths:
            try:
                clips += read_recording(path, person, size, crop)
            except UnusableFile as error:
                log.warning("%s is left out: %s.", path, error)
            done += 1
            if progress:
                progress(done, total)
        if clips:
            loaded[person] = clips
        else:
            log.warning("%s is left out: none of the clips can be used.", person)
    if not loaded:
        raise ValueError(f"`--data.root` must hold clips that can be used. Got {total} files in {root}, none of use.")
    return loaded
