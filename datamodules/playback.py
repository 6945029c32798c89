"""Frames as they are shown: at any rate and size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from datamodules.clips import FPS, SAMPLE_RATE
from datamodules.reading.cropping import Box, crop_and_resize

SMALLEST, LARGEST = 16, 4096
FASTEST = 120


@dataclass(frozen=True)
class Playback:
    """How frames made at `FPS` are shown.

    Raises:
        ValueError: If H.264 in 4:2:0 cannot show them so.
    """

    fps: int = FPS
    """Frames per second; the frame nearest in time is shown."""
    size: int | None = None
    """Height and width, pixels; as they are if None."""

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= FASTEST:
            raise ValueError(f"`--fps` must be from 1 to {FASTEST}. Got {self.fps}.")
        if self.size is not None and (self.size % 2 or not SMALLEST <= self.size <= LARGEST):
            raise ValueError(f"`--size` must be even, from {SMALLEST} to {LARGEST}. Got {self.size}.")

    def count(self, frames: int) -> int:
        """Return how many frames are shown, at least 1: rounded down, so the video is never longer than those made."""
        return max(1, frames * self.fps // FPS)

    def samples(self, frames: int) -> int:
        """Return how many samples of sound last as long as the frames shown."""
        return self.count(frames) * SAMPLE_RATE // self.fps

    def show(self, frames: Iterable[Tensor], made: int) -> Iterator[Tensor]:
        """Yield uint8 `(3, size, size)` for `made` frames `(3, height, height)`, one by one as they come."""
        nearest = (min(round(index * FPS / self.fps), made - 1) for index in range(self.count(made)))
        wanted = next(nearest)
        for number, frame in enumerate(frames):
            while wanted == number:
                side = frame.shape[-1]
                yield crop_and_resize(frame[None], Box(0, 0, side), self.size or side)[0]
                wanted = next(nearest, None)
