"""What a video file holds, found without decoding it all: when each frame appears, and how it is to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from datamodules.clips import FPS, UnusableFile

MISSING_SECONDS = 0.25
"""A file that ends this much before the length in its header is called truncated."""

SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
"""Containers, as FFmpeg calls them, with an index. In others (MPEG streams, ASF) decord finds wrong frames."""

MISREAD_WIDTHS = (16, 24, 48, 72)
"""decord fails on frames of these widths; of all even ones up to 128 it reads the others, and all that cameras make."""

HDR_CURVES = (16, 18)
"""How FFmpeg numbers the transfer curves PQ and HLG, which nobody undoes here."""

WIDEST_PIXEL = 4
"""Pixels that a file calls wider than this, or higher, are taken for square: no camera makes them."""


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
    is_hdr: bool = False
    """Whether colours are stored by a curve for bright screens."""
    is_plain: bool = True
    """Whether decord reads it: stored as it is shown, of a width it takes, in a container in which it finds frames."""

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
        UnusableFile: If the file is empty, no video, or ends before the length its header promises.
    """
    if path.stat().st_size == 0:
        raise UnusableFile("the file is empty")
    opened = path.absolute()  # FFmpeg takes a bare "a:b.mp4" for something of protocol a
    try:
        with av.open(opened) as container:  # a second look, since seeking back loses frames of MPEG program streams
            if not container.streams.video:
                raise UnusableFile("it has no picture")
            aspect = _pixel_aspect(container.streams.video[0])
            is_seekable = container.format.name in SEEKABLE
            first = next(container.decode(video=0), None)
            if first is None:
                raise UnusableFile("no frame of it can be decoded")
            is_hdr = container.streams.video[0].codec_context.color_trc in HDR_CURVES
        with av.open(opened) as container:
            times, seconds = _list_frames(container)
        turns = round((first.rotation or 0) / 90) % 4
        shown = max(1, round(first.width * aspect))
        height, width = (shown, first.height) if turns % 2 else (first.height, shown)
        is_as_shown = not turns and shown == first.width
        is_plain = is_seekable and is_as_shown and shown not in MISREAD_WIDTHS
        return VideoStream(path, times, seconds, height, width, turns, is_hdr, is_plain)
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
    promised = (container.duration or 0) / av.time_base
    video = container.streams.video[0]
    rate = float(video.average_rate or FPS)
    if container.format.name == "avi":  # its length is guessed from the file's size, its count of frames is written
        promised = video.frames / rate
    there = max(ends, default=0.0) - (container.start_time or 0) / av.time_base
    if not times or there < promised - MISSING_SECONDS:
        raise UnusableFile(f"it is truncated: {there:.1f} s of the {promised:.1f} s that its header promises")
    rising = np.sort(np.array(times))
    last = float(np.median(np.diff(rising))) if len(rising) > 1 else 1 / rate
    return rising, float(rising[-1] - rising[0]) + last
