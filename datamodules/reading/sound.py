"""Sound of a video or sound file, on the clock of the container; PyAV decodes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from datamodules.clips import FPS, SAMPLE_RATE, UnusableFile

LARGEST_SURPLUS = 1.0
"""Seconds by which stamps may go back for sound to be left out; beyond, a file was put together of several."""


@dataclass(frozen=True)
class Sound:
    """The sound of a file."""

    waveform: np.ndarray
    """Mono at `SAMPLE_RATE` in [-1, 1], float32 `(samples,)`."""
    start: float
    """When the first sample sounds, in seconds on the container's clock."""

    def between(self, start: float, samples: int) -> Tensor:
        """Return `samples` samples from `start` (container's clock), silence where the file has no sound."""
        first = round((start - self.start) * SAMPLE_RATE)
        piece = torch.zeros(samples)
        sounding = self.waveform[max(0, first) : max(0, first + samples)]
        offset = max(0, -first)
        piece[offset : offset + len(sounding)] = torch.from_numpy(sounding)
        return piece


def decode_sound(path: Path) -> Sound | None:
    """Decode a file's first sound stream to mono at `SAMPLE_RATE`; None where it has none.

    Pauses in the time stamps become silence, and where stamps run late sound is left out, so that what follows stays on
    the clock.

    Raises:
        UnusableFile: If the sound cannot be decoded.
    """
    pieces: list[np.ndarray] = []
    try:
        with av.open(path.absolute()) as container:  # FFmpeg takes a bare "a:b.wav" for something of protocol a
            if not container.streams.audio:
                return None
            resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            start = expected = None
            for frame in container.decode(audio=0):
                time = frame.time if frame.time is not None else (expected or 0.0)
                start, expected = (time, time) if start is None else (start, expected)
                if time - expected > 1 / FPS:
                    pieces.append(np.zeros(round((time - expected) * SAMPLE_RATE), np.float32))
                    expected = time
                elif 1 / FPS < expected - time < LARGEST_SURPLUS:
                    _cut_end(pieces, round((expected - time) * SAMPLE_RATE))
                    expected = time
                expected += frame.samples / frame.sample_rate
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except (av.FFmpegError, ValueError) as error:
        raise UnusableFile.because("its sound cannot be decoded", error) from error
    if not pieces:
        return None
    waveform = np.concatenate(pieces)
    if not np.isfinite(waveform).all():
        raise UnusableFile("its sound holds values that are no numbers")
    return Sound(waveform.clip(-1, 1), start or 0.0)


def _cut_end(pieces: list[np.ndarray], samples: int) -> None:
    """Leave out the last samples of a sound in pieces."""
    while pieces and samples > 0:
        last = pieces.pop()
        if len(last) > samples:
            pieces.append(last[: len(last) - samples])
        samples -= len(last)
