"""Distances and jerk of facial points, relative to those of the recorded clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

FIELD_SIZE = 256
"""Pixels per side of the frames on which landmark distances are published; ours are scaled to it."""


@dataclass(frozen=True)
class Layout:
    """Which points are what, as indices."""

    left_eye: list[int]
    right_eye: list[int]
    mouth: list[int]
    upper_lip: int
    lower_lip: int

    @classmethod
    def of(cls, names: Sequence[str]) -> Layout:
        """Find them by their names.

        Raises:
            ValueError: If a part of the face has no point.
        """
        parts = {
            part: [index for index, name in enumerate(names) if part in name]
            for part in ("left eye", "right eye", "mouth", "upper lip", "lower lip")
        }
        if missing := [part for part, found in parts.items() if not found]:
            raise ValueError(f"Landmarks must have points of the {', '.join(missing)}. Got {', '.join(names)}.")
        return cls(
            left_eye=parts["left eye"],
            right_eye=parts["right eye"],
            mouth=parts["mouth"],
            upper_lip=parts["upper lip"][0],
            lower_lip=parts["lower lip"][0],
        )

    def eye_distance(self, points: Tensor) -> Tensor:
        """Return how far the eyes' middles are apart, (frames,), of points (frames, P, 2)."""
        return (points[:, self.left_eye].mean(1) - points[:, self.right_eye].mean(1)).norm(dim=-1)

    def opening(self, points: Tensor) -> Tensor:
        """Return how far the lips are apart, (frames,), in units of the distance of the eyes over the clip."""
        gap = (points[:, self.lower_lip] - points[:, self.upper_lip]).norm(dim=-1)
        return gap / self.eye_distance(points).mean().clamp(min=1e-6)


def landmark_distance(points: Tensor, truth: Tensor) -> float:
    """Return the mean distance of points `(frames, P, 2)` in [0, 1] to the true ones, in pixels of 256.

    Each frame's set is centred on its own mean, without scaling or turning (EAT, Gan et al. 2023): M-LMD of the
    mouth's points, F-LMD of all. Where heads point elsewhere, as from sound alone, it grows with the turn.
    """
    centred = [set_ - set_.mean(dim=1, keepdim=True) for set_ in (points, truth)]
    return FIELD_SIZE * (centred[0] - centred[1]).norm(dim=-1).mean().item()


def jerk_ratio(points: Tensor, truth: Tensor) -> float:
    """Return the mean second difference of points over time, relative to that of the truth's.

    1 is as steady as the recording as the same network sees it, 0 stands still; the network's own trembling is in
    both. NaN for fewer than three frames.
    """
    jerks = [set_.diff(n=2, dim=0).norm(dim=-1) for set_ in (points, truth)]
    if not jerks[1].numel() or jerks[1].mean() < 1e-9:
        return float("nan")
    return (jerks[0].mean() / jerks[1].mean()).item()
