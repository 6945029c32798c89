"""Frames of a video file, on the clock of the container.

decord decodes the frames where it is installed and can be trusted, PyAV elsewhere. PyAV lists the packets in both
cases: it keeps the streams' start times, which decord's timestamps lose.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cache

import av
import numpy as np
import torch
from torch import Tensor

from datamodules.clips import UnusableFile
from datamodules.reading.video_stream import VideoStream

CHUNK = 16
"""Full-size frames held in memory at once, at most."""

CHUNK_PIXELS = 4 * 3840 * 2160
"""Pixels held at once, at most: four frames of 4K."""

log = logging.getLogger(__name__)


def decode_frames(stream: VideoStream, indices: np.ndarray) -> Iterator[Tensor]:
    """Yield the frames at rising `indices` in uint8 chunks `(n, 3, height, width)` of a few frames.

    Raises:
        UnusableFile: If a frame cannot be decoded.
    """
    # decord turns pictures that are stored sideways for some files and crashes on others; PyAV scales while it decodes.
    decode = _decode_with_decord if has_decord() and stream.is_plain else _decode_with_pyav
    for chunk in decode(stream, np.asarray(indices)):
        upright = np.rot90(chunk, stream.quarter_turns, axes=(1, 2)) if stream.quarter_turns else chunk
        yield torch.from_numpy(np.ascontiguousarray(upright)).permute(0, 3, 1, 2)


@cache
def has_decord() -> bool:
    """Whether decord can be imported; says once which decoder is used instead."""
    search_path = os.environ.setdefault("PATH", "")
    try:
        import decord  # noqa: F401
    except (ImportError, OSError) as error:
        log.info("decord cannot be imported (%s); PyAV decodes the frames.", error)
        return False
    finally:
        os.environ["PATH"] = search_path  # decord's import lengthens it
    return True


def _decode_with_decord(stream: VideoStream, indices: np.ndarray) -> Iterator[np.ndarray]:
    from decord import DECORDError, VideoReader

    try:
        reader = VideoReader(str(stream.path.absolute()), num_threads=1)
        if len(reader) != len(stream.times):  # e.g. frames that an edit list hides
            log.info("decord counts other frames in %s than its index lists; PyAV decodes it.", stream.path)
            yield from _decode_with_pyav(stream, indices)
            return
        size = chunk_size(stream)
        for first in range(0, len(indices), size):
            yield reader.get_batch(indices[first : first + size].tolist()).asnumpy()
    except (RuntimeError, DECORDError) as error:
        raise UnusableFile.because("a frame of it cannot be decoded", error) from error


def chunk_size(stream: VideoStream) -> int:
    """Return how many of a film's frames are held at once."""
    return max(1, min(CHUNK, CHUNK_PIXELS // (stream.height * stream.width)))


def _nearest(times: np.ndarray, time: float) -> int:
    """Return the first of the rising times that are nearest to one."""
    right = min(int(np.searchsorted(times, time)), len(times) - 1)
    left = max(0, right - 1)
    return int(np.searchsorted(times, min(times[left], times[right], key=lambda one: abs(one - time))))


def _decode_with_pyav(stream: VideoStream, indices: np.ndarray) -> Iterator[np.ndarray]:
    wanted = np.bincount(indices, minlength=len(stream.times))
    pictures = []
    lying = stream.quarter_turns % 2
    width, height = (stream.height, stream.width) if lying else (stream.width, stream.height)
    found, index, size = 0, -1, chunk_size(stream)
    try:
        with av.open(stream.path.absolute()) as container:
            for frame in container.decode(video=0):
                last, index = index, _nearest(stream.times, frame.time)
                if index <= last < len(stream.times) - 1 and stream.times[last + 1] == stream.times[last]:
                    index = last + 1  # MPEG program streams give two frames one time now and then
                if not wanted[index]:
                    continue
                pictures += [frame.to_ndarray(format="rgb24", width=width, height=height)] * int(wanted[index])
                found += int(wanted[index])
                wanted[index] = 0
                while len(pictures) >= size:
                    chunk = np.stack(pictures[:size])
                    del pictures[:size]
                    yield chunk
                if found == len(indices):
                    break
    except av.FFmpegError as error:
        raise UnusableFile.because("a frame of it cannot be decoded", error) from error
    if pictures:
        yield np.stack(pictures)
    if found < len(indices):
        raise UnusableFile(f"{len(indices) - found} of its frames cannot be decoded")
