"""What the metrics ask of a judge, a network that only scores and that nothing was ever trained against.

All of them take RGB frames as uint8 `(frames, 3, height, width)`, whatever they compute in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Judge(Protocol):
    """A network with a name that every table says."""

    name: str
    """What it is and whose, e.g. "ArcFace buffalo_l" or "identity judge (local)"."""
    local: bool
    """Whether it is a stand-in of our own: its metrics are then called "FID-local", never "FID"."""


class FaceJudge(Judge, Protocol):
    """Tells who a face is."""

    def embed(self, frames: Tensor) -> Tensor:
        """Return unit vectors (frames, E)."""


class SyncJudge(Judge, Protocol):
    """A SyncNet (Chung & Zisserman 2016): pictures of mouths and sounds that belong together lie close."""

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Return one vector for every 5 frames in a row, (frames - 4, E)."""

    def embed_sound(self, mel: Tensor) -> Tensor:
        """Return one vector for the sound under the same 5 frames, (frames - 4, E), of windows (frames, 20, 80)."""


class PointJudge(Judge, Protocol):
    """Finds the points of a face."""

    points: tuple[str, ...]
    """Their names, e.g. "upper lip"."""

    def locate(self, frames: Tensor) -> Tensor:
        """Return x and y, (frames, P, 2), as fractions of the frame."""


class PerceptualJudge(Judge, Protocol):
    """A network of LPIPS (Zhang et al. 2018) as torchmetrics calls one."""

    def __call__(self, first: Tensor, second: Tensor, normalize: bool = False) -> Tensor:
        """Return distances (frames, 1, 1, 1) of frames in [0, 1] if `normalize`, else in [-1, 1]."""


class FeatureJudge(Judge, Protocol):
    """Features whose distributions are compared; a torch module, as torchmetrics wants one."""

    num_features: int

    def __call__(self, frames: Tensor) -> Tensor:
        """Return features (frames, num_features)."""


class ClipJudge(Judge, Protocol):
    """Features of whole clips, for FVD."""

    def embed_clip(self, frames: Tensor) -> Tensor:
        """Return one vector (E,) for every 16 frames in a row, (windows, E)."""


@dataclass(frozen=True)
class Judges:
    """The networks at hand; None where there is none."""

    identity: FaceJudge | None = None
    sync: SyncJudge | None = None
    landmarks: PointJudge | None = None
    perceptual: PerceptualJudge | None = None
    inception: FeatureJudge | None = None
    video: ClipJudge | None = None
