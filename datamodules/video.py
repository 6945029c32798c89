"""Writes mp4 files: H.264 pictures with AAC sound, in step to within a sample."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import torch
from av.container import OutputContainer
from torch import Tensor

from whole_files import whole_file


def write_video(
    path: str | Path,
    frames: Tensor | Iterable[Tensor],
    fps: int = 25,
    waveform: Tensor | None = None,
    sample_rate: int = 16_000,
    crf: int = 18,
) -> None:
    """Write frames and sound to `path` under a temporary name, then rename it.

    Args:
        path: The mp4 file; its folder is made when missing.
        frames: uint8 RGB `(frames, 3, height, width)`, or any iterable of `(3, height, width)`. H.264 in 4:2:0 needs
            even sizes: an odd edge is repeated once.
        fps: Frames per second.
        waveform: Mono float `(samples,)` in [-1, 1], or None for a silent file.
        sample_rate: Samples per second of `waveform`.
        crf: H.264 quality, 0 (lossless) to 51; 18 is visually lossless on large pictures, 10 on small ones.

    Raises:
        ValueError: If there is no frame, or a frame is not uint8 `(3, height, width)`, or its size changes.
    """
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"A video needs at least one frame. Got none for {path}.")
    options = {"movflags": "+faststart"}
    with whole_file(path) as partial:
        # FFmpeg takes a bare "a:b.mp4" for something of protocol a.
        with av.open(str(partial.absolute()), "w", format="mp4", options=options) as container:
            _write_streams(container, chain([first], pictures), fps, waveform, sample_rate, crf)


def _write_streams(
    container: OutputContainer, frames: Iterator[Tensor], fps: int, waveform: Tensor | None, sample_rate: int, crf: int
) -> None:
    first = next(frames)
    # x264's macroblock tree reads memory that it never wrote: without it the same frames are the same bytes.
    options = {"crf": str(crf), "preset": "medium", "x264-params": "no-mbtree=1"}
    video = container.add_stream("libx264", rate=fps, options=options)
    video.height, video.width = _picture(first).shape[:2]
    video.pix_fmt = "yuv420p"
    # One thread: the bytes of a file must not depend on the machine, and small pictures gain nothing.
    video.codec_context.thread_count = 1
    streams = [video]
    sources = [_pictures(chain([first], frames), fps)]
    if waveform is not None:
        streams.append(container.add_stream("aac", rate=sample_rate, layout="mono"))
        sources.append(_sounds(waveform, sample_rate))
    for frame in heapq.merge(*sources, key=lambda frame: frame.time):
        container.mux(streams[isinstance(frame, av.AudioFrame)].encode(frame))
    for stream in streams:
        container.mux(stream.encode())


def _pictures(frames: Iterable[Tensor], fps: int) -> Iterator[av.VideoFrame]:
    size = None
    for index, frame in enumerate(frames):
        array = _picture(frame)
        if size not in (None, array.shape):
            raise ValueError(f"All frames of a video must be of one size. Got {array.shape} after {size}.")
        size = array.shape
        picture = av.VideoFrame.from_ndarray(array, format="rgb24")
        picture.pts, picture.time_base = index, Fraction(1, fps)
        yield picture


def _sounds(waveform: Tensor, sample_rate: int) -> Iterator[av.AudioFrame]:
    samples = torch.as_tensor(waveform).detach().cpu().float().clamp(-1, 1).numpy()
    for start in range(0, len(samples), 1024):
        part = np.ascontiguousarray(samples[None, start : start + 1024])
        sound = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        # Without a pts the muxer cannot tell the encoder's 1,024 priming samples: the sound would play 64 ms late.
        sound.sample_rate, sound.pts, sound.time_base = sample_rate, start, Fraction(1, sample_rate)
        yield sound


def _picture(frame: Tensor) -> np.ndarray:
    """Check a frame and return it as `(height, width, 3)` of even sizes."""
    if frame.dtype != torch.uint8 or frame.ndim != 3 or frame.shape[0] != 3:
        raise ValueError(f"A frame must be uint8 (3, height, width). Got {frame.dtype} {tuple(frame.shape)}.")
    array = frame.detach().cpu().permute(1, 2, 0).numpy()
    height, width = array.shape[:2]
    return np.ascontiguousarray(np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
