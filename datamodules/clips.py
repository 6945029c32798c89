"""What a clip is: a few seconds of one person, frames and sound on one clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

FPS = 25
"""Video frames per second of every clip, whatever the file had."""

SAMPLE_RATE = 16_000
"""Sound samples per second of every clip."""

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
"""Sound samples under one video frame."""

MOTION_NAMES = ("yaw", "pitch", "roll", "shift_x", "shift_y", "blink")
"""Columns of `Clip.motion`."""


class UnusableFile(ValueError):
    """A file that no clip can be made of; the message is the reason, without the file's name."""

    @classmethod
    def because(cls, reason: str, error: Exception) -> UnusableFile:
        """Return the error with the first line of what a library said."""
        said = str(error).strip().splitlines() or [type(error).__name__]
        return cls(f"{reason} ({said[0][:120]})")


@dataclass(frozen=True)
class Clip:
    """A few seconds of one person speaking."""

    person: str
    """Who is seen and heard; one person is one client."""

    name: str
    """Name of the recording, and number of the clip in it where there are several; unique within the person: the
    recording's suffix is a part of it where two would have one name."""

    frames: Tensor
    """RGB in 0..255, uint8 `(frames, 3, height, width)` at `FPS`."""

    waveform: Tensor
    """Mono sound in [-1, 1], float32 `(frames * SAMPLES_PER_FRAME,)`; sample 0 sounds when frame 0 appears."""

    motion: Tensor | None
    """True head motion `(frames, 6)`: yaw, pitch, roll in units of 30 degrees, shift x and y as fractions of half the
    frame, blink from 0 (open) to 1 (closed); None where nobody knows it."""

    mouth: Tensor | None
    """True mouth opening in [0, 1] `(frames,)`; None where nobody knows it."""

    path: Path
    """The recording."""

    start: float
    """Where the clip starts in the recording, in seconds after its first frame."""

    copies: tuple[str, ...] = ()
    """Files beside the recording that hold the same, byte for byte."""

    @property
    def source(self) -> str:
        """Return the recording's file and the clip's number in it: `name` may change when another recording comes."""
        return self.path.name + self._number

    @property
    def sources(self) -> tuple[str, ...]:
        """Return `source`, and what it would be if one of the copies were taken for the recording."""
        return self.source, *(copy + self._number for copy in self.copies)

    @property
    def _number(self) -> str:
        return self.name.removeprefix(self.path.name).removeprefix(self.path.stem)


def truth_of(recording: Path) -> Path:
    """Return the file beside a recording that holds what is known of it: `motion` and `mouth`, as in `Clip`."""
    return recording.with_name(f"{recording.stem}.truth.safetensors")
