"""Recordings are read once: their clips are kept on disk, and every device of every run takes them from there."""

from __future__ import annotations

import glob
import hashlib
import inspect
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from safetensors import SafetensorError

from datamodules import audio, clips
from datamodules.clips import Clip, UnusableFile, truth_of
from datamodules.process_pool import map_in_processes
from datamodules.progress_bar import progress_bar
from datamodules.reading import cropping, decoding, recordings, sound, splitting, video_stream
from datamodules.reading.clip_files import load_clip, save_clip
from datamodules.reading.cropping import Crop, name_detector
from datamodules.reading.decoding import has_decord
from datamodules.reading.recordings import read_recording
from datamodules.reading.remarks import noted_remarks

READERS = (audio, clips, cropping, decoding, recordings, sound, splitting, video_stream)
"""What makes clips of a recording: clips that other code made are made again."""

PATIENCE = 3.0
"""Seconds of reading after which other processes are started to help, which takes as long."""

MOST_PROCESSES = 8
"""Each holds torch, and a few frames as large as the camera's."""

ABOUT = "about.json"
"""How many clips a recording has, and what was remarked of it."""

LEFT_BEHIND = 24 * 3600.0
"""Seconds after which what nobody has finished is a killed process's."""

Recording = tuple[str, Path]
"""Person and file."""

log = logging.getLogger(__name__)


class PreparedClips:
    """Clips at one size, in a folder that is as private as the recordings; whoever reads them must not write to it."""

    def __init__(self, folder: str | Path, size: int, crop: Crop) -> None:
        """Use `folder/<person>/`; see `read_recording` for size and crop."""
        self.folder = Path(folder)
        self.size = size
        self.crop = crop
        self._refused: dict[Recording, str] = {}

    def read_ahead(self, wanted: Sequence[Recording]) -> None:
        """Prepare what is missing of many recordings, in several processes where it takes long.

        What cannot be used is remembered for `read`, and tried again in the next run.
        """
        missing = [recording for recording in wanted if not self._place(*recording).is_dir()]
        reasons = progress_bar(self._prepare_all(missing), "reading recordings", len(missing))
        self._refused |= {recording: reason for recording, reason in zip(missing, reasons, strict=True) if reason}

    def read(self, person: str, path: Path) -> list[Clip]:
        """Return a recording's clips, prepared now if need be; what was remarked of it then is said again.

        Raises:
            UnusableFile: see `read_recording`.
        """
        place = self._place(person, path)
        if not place.is_dir() and (reason := self._refused.get((person, path)) or self._prepare((person, path))):
            raise UnusableFile(reason)
        try:
            about = json.loads((place / ABOUT).read_text())
            loaded = [load_clip(place / name_file(number), person, path) for number in range(about["clips"])]
        except (SafetensorError, ValueError, OSError) as error:
            raise ValueError(f"Prepared clips cannot be read ({error}). Delete {place}, and start again.") from error
        for remark in about["remarks"]:
            log.warning("%s", remark)
        return loaded

    def _prepare_all(self, missing: Sequence[Recording]) -> Iterator[str | None]:
        left = list(missing)
        give_up = time.monotonic() + PATIENCE
        while left and time.monotonic() < give_up:
            yield self._prepare(left.pop(0))
        yield from map_in_processes(self._prepare, left, min(os.cpu_count() or 1, MOST_PROCESSES), "read recordings")

    def _prepare(self, recording: Recording) -> str | None:
        """Keep the clips of a recording, all of them or none; return why it cannot be used."""
        person, path = recording
        place = self._place(person, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(place)
        # Several processes may read the same file, and in containers they may have the same number.
        partial = place.with_name(f"{place.name}.{secrets.token_hex(4)}.partial")
        partial.mkdir()
        try:
            count = 0
            with noted_remarks() as remarks:
                for clip in read_recording(person, path, self.size, self.crop):
                    save_clip(clip, partial / name_file(count))
                    count += 1
            (partial / ABOUT).write_text(json.dumps({"clips": count, "remarks": remarks}))
            _keep_first(partial, place)
        except UnusableFile as error:
            return str(error)
        except SafetensorError as error:
            raise OSError(f"Clips cannot be kept in {self.folder}: {error}.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return None

    def _place(self, person: str, path: Path) -> Path:
        """Return the folder of a recording's clips, named by all that they depend on."""
        files = [file.stat() for file in (path, truth_of(path)) if os.path.isfile(file)]
        known = [str(path.resolve()), [(file.st_size, file.st_mtime_ns) for file in files]]
        settings = [self.size, self.crop, name_detector(), has_decord(), _code()]
        name = hashlib.sha256(json.dumps([known, settings]).encode()).hexdigest()
        return self.folder / person / f"{path.stem[:40]}-{name[:16]}"


def name_file(number: int) -> str:
    """Return the file of a recording's clip."""
    return f"{number:05d}.safetensors"


def _remove_left_behind(place: Path) -> None:
    """Remove what killed processes have begun, long enough ago that nobody is at it."""
    for begun in place.parent.glob(f"{glob.escape(place.name)}.*.partial"):
        with suppress(OSError):
            if time.time() - begun.stat().st_mtime > LEFT_BEHIND:
                shutil.rmtree(begun)


def _keep_first(made: Path, place: Path) -> None:
    """Move a folder to its place, unless another process was there before: both hold the same."""
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


@cache
def _code() -> str:
    return hashlib.sha256("".join(inspect.getsource(module) for module in READERS).encode()).hexdigest()
