"""All clips of a folder of people."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from datamodules.clips import Clip, UnusableFile
from datamodules.process_pool import one_thread
from datamodules.progress_bar import progress_bar
from datamodules.reading.copies import find_copies
from datamodules.reading.cropping import Crop
from datamodules.reading.layouts import find_recordings, warn_of_others
from datamodules.reading.prepared import PreparedClips
from datamodules.reading.recordings import read_recording
from datamodules.reading.remarks import noted_remarks

log = logging.getLogger(__name__)


def load_people(
    root: str | Path, size: int, crop: Crop, people: Collection[str] | None = None, cache_dir: str | None = None
) -> dict[str, list[Clip]]:
    """Read the clips of `root/<person>/`, in the order of names.

    A file that cannot be used, or is a copy of another one of the person's, is named in one line and left out.

    Args:
        root: One folder of recordings per person.
        size: Of the frames, in pixels.
        crop: See `cropping.crop_box`.
        people: Whose clips are read; None is everyone's.
        cache_dir: Where clips are kept from run to run, see `PreparedClips`; None reads them into memory.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If nothing in it can be used, or someone of `people` is not in it.
    """
    recordings = find_recordings(root, people)
    warn_of_others(root, people)
    copies = {person: find_copies(paths) for person, paths in recordings.items()}
    files = [(person, path) for person, own in copies.items() for path in own]
    loaded: dict[str, list[Clip]] = {person: [] for person in recordings}
    with one_thread():
        if cache_dir:
            prepared = PreparedClips(cache_dir, size, crop)
            prepared.read_ahead(files)
            read, wanted = prepared.read, files
        else:
            read, wanted = partial(_read, size=size, crop=crop), progress_bar(files, "reading recordings", len(files))
        for person, path in wanted:
            try:
                others = tuple(copy.name for copy in copies[person][path])
                loaded[person].extend(replace(clip, copies=others) for clip in read(person, path))
            except UnusableFile as error:
                log.warning("%s is left out: %s.", path, error)
    for person in [person for person, clips in loaded.items() if not clips]:
        log.warning("%s is left out: none of the clips can be used.", person)
    if not any(loaded.values()):
        raise ValueError(f"A folder of people must hold usable clips. Got {len(files)} files in {root}, none of use.")
    return {person: tell_apart(clips) for person, clips in loaded.items() if clips}


def _read(person: str, path: Path, size: int, crop: Crop) -> list[Clip]:
    with noted_remarks() as remarks:
        clips = list(read_recording(person, path, size, crop))
    for remark in remarks:  # a second face is seen in each of many frames, and named once
        log.warning("%s", remark)
    return clips


def tell_apart(clips: Sequence[Clip]) -> list[Clip]:
    """Return a person's clips under names of their own.

    `IMG_1.MOV` beside `IMG_1.mp4` gives `IMG_1.MOV` and `IMG_1.mp4`, a long `a.mp4` beside `a-01.mp4` gives `a.mp4-01`
    and `a-01.mp4`; names that no other clip has stay as they are.
    """
    counts = Counter(clip.name for clip in clips)
    told = [_name_in_full(clip) if counts[clip.name] > 1 else clip for clip in clips]
    # A name in full may be what another clip was called before: that one is then named in full, too.
    return told if [clip.name for clip in told] == [clip.name for clip in clips] else tell_apart(told)


def _name_in_full(clip: Clip) -> Clip:
    is_full = clip.name.startswith(clip.path.name)
    return clip if is_full else replace(clip, name=clip.path.name + clip.name.removeprefix(clip.path.stem))
