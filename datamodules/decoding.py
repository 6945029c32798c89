"""Frames of a video file, on the clock of the container.

decord decodes the frames where it is installed and can be trusted, PyAV elsewhere. PyAV lists the packets in both
cases: it keeps the streams' start times, which decord's timestamps lose.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from datamodules.clips import FPS, UnusableFile

CHUNK = 16
"""Full-size frames held in memory at once."""

MISSING_SECONDS = 0.25
"""A file that ends this much before the length in its header is called truncated."""

SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
"""Containers, as FFmpeg calls them, with an index. In others (MPEG streams, ASF) decord finds wrong frames."""

WIDEST_PIXEL = 4
"""Pixels that a file calls wider than this, or higher, are taken for square: no camera makes them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoStream:
    """The picture of a file before it is decoded."""

    path: Path
    times: np.ndarray
    """When each frame appears, in seconds on the container's clock, rising."""
    seconds: float
    """From the first frame's appearance to the last one's end."""
    height: int
    """Of the upright picture, in square pixels."""
    width: int
    """Of the upright picture, in square pixels."""
    quarter_turns: int
    """Counter-clockwise quarter turns that stand the stored picture upright (phones store it lying)."""
    is_plain: bool = True
    """Whether the picture is stored as it is shown, in a container in which decord finds its frames again."""

    def resampled(self) -> np.ndarray:
        """Return for each frame at `FPS` the index of the stored frame that is nearest in time."""
        wanted = self.times[0] + np.arange(int(self.seconds * FPS + 0.01)) / FPS
        right = np.clip(np.searchsorted(self.times, wanted), 1, max(1, len(self.times) - 1))
        left = right - 1
        right = np.minimum(right, len(self.times) - 1)
        return np.where(wanted - self.times[left] <= self.times[right] - wanted, left, right)


def probe_video(path: Path) -> VideoStream:
    """List a file's frames without decoding them all.

    Raises:
        UnusableFile: the file is empty, no video, or ends before the length its header promises.
    """
    if path.stat().st_size == 0:
        raise UnusableFile("the file is empty")
    opened = path.absolute()  # FFmpeg takes a bare "a:b.mp4" for something of protocol a
    try:
        with av.open(opened) as container:  # a second look, since seeking back loses frames of MPEG program streams
            if not container.streams.video:
                raise UnusableFile("it has no picture")
            aspect, is_seekable = _pixel_aspect(container.streams.video[0]), container.format.name in SEEKABLE
            first = next(container.decode(video=0), None)
            if first is None:
                raise UnusableFile("no frame of it can be decoded")
        with av.open(opened) as container:
            times, seconds = _list_frames(container)
        turns = round((first.rotation or 0) / 90) % 4
        shown = max(1, round(first.width * aspect))
        height, width = (shown, first.height) if turns % 2 else (first.height, shown)
        is_plain = is_seekable and not turns and shown == first.width
        return VideoStream(path, times, seconds, height, width, turns, is_plain)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, UnusableFile):
            raise
        raise UnusableFile.because("it is no video or it is broken", error) from error


def _pixel_aspect(video: av.VideoStream) -> float:
    """Return the width of a stored pixel over its height; 1 where the file does not say or makes no sense."""
    aspect = float(video.sample_aspect_ratio or 1)
    return aspect if 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL else 1.0


def _list_frames(container: av.container.InputContainer) -> tuple[np.ndarray, float]:
    """Return when each frame appears, and the seconds from the first frame's appearance to the last one's end."""
    times, ends = [], []
    for packet in container.demux():
        if packet.pts is None or packet.is_discard:
            continue
        if packet.is_corrupt:
            raise UnusableFile("it is truncated: its last packet is incomplete")
        start = float(packet.pts * packet.time_base)
        ends.append(start + float((packet.duration or 0) * packet.time_base))
        if packet.stream == container.streams.video[0]:
            times.append(start)
    promised, video = (container.duration or 0) / av.time_base, container.streams.video[0]
    rate = float(video.average_rate or FPS)
    if container.format.name == "avi":  # its length is guessed from the file's size, its count of frames is written
        promised = video.frames / rate
    there = max(ends, default=0.0) - (container.start_time or 0) / av.time_base
    if not times or there < promised - MISSING_SECONDS:
        raise UnusableFile(f"it is truncated: {there:.1f} s of the {promised:.1f} s that its header promises")
    rising = np.sort(np.array(times))
    last = float(np.median(np.diff(rising))) if len(rising) > 1 else 1 / rate
    return rising, float(rising[-1] - rising[0]) + last


def decode_frames(stream: VideoStream, indices: np.ndarray) -> Iterator[Tensor]:
    """Yield the frames at rising `indices` in uint8 chunks `(n, 3, height, width)` of at most `CHUNK` frames.

    Raises:
        UnusableFile: a frame cannot be decoded.
    """
    # decord turns lying pictures for some files and crashes on others; PyAV scales while it decodes.
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
        for first in range(0, len(indices), CHUNK):
            yield reader.get_batch(indices[first : first + CHUNK].tolist()).asnumpy()
    except (RuntimeError, DECORDError) as error:
        raise UnusableFile.because("a frame of it cannot be decoded", error) from error


def _decode_with_pyav(stream: VideoStream, indices: np.ndarray) -> Iterator[np.ndarray]:
    wanted, pictures = np.bincount(indices, minlength=len(stream.times)), []
    lying = stream.quarter_turns % 2
    width, height = (stream.height, stream.width) if lying else (stream.width, stream.height)
    found, index = 0, -1
    try:
        with av.open(stream.path.absolute()) as container:
            for frame in container.decode(video=0):
                last, index = index, int(np.argmin(np.abs(stream.times - frame.time)))
                if index <= last < len(stream.times) - 1 and stream.times[last + 1] == stream.times[last]:
                    index = last + 1  # MPEG program streams give two frames one time now and then
                if not wanted[index]:
                    continue
                pictures += [frame.to_ndarray(format="rgb24", width=width, height=height)] * int(wanted[index])
                found += int(wanted[index])
                wanted[index] = 0
                while len(pictures) >= CHUNK:
                    yield np.stack(pictures[:CHUNK])
                    del pictures[:CHUNK]
    except av.FFmpegError as error:
        raise UnusableFile.because("a frame of it cannot be decoded", error) from error
    if pictures:
        yield np.stack(pictures)
    if found < len(indices):
        raise UnusableFile(f"{len(indices) - found} of its frames cannot be decoded")
