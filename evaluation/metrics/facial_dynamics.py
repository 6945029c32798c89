"""ADFD, "audio-driven facial dynamics": shape, movement and sound in one score.

PortraitTalk (arXiv 2412.07754) names the score and gives no formula that we could find: what stands here is our own
reading, and its values do not compare with published ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import torch
from torch import Tensor

from evaluation.metrics.landmarks import Layout
from evaluation.metrics.tracks import best_lag

TAU = 0.05
"""Mean distance of points, in units of the distance of the eyes, at which the spatial part is 1/e."""

MOUTH_WEIGHT = 3.0
MAX_LAG = 3
LEAST_CORRELATION = 0.1
"""Least r by which the recording's own mouth is taken to follow its sound: else noise would be divided by nothing."""


@dataclass(frozen=True)
class FacialDynamics:
    """ADFD and its parts, each in [0, 1], higher is better; NaN where the sound is equally loud throughout."""

    spatial: float
    temporal: float
    audio: float
    lag: float
    """At which the mouth follows the sound best, frames."""

    @property
    def value(self) -> float:
        """Return the geometric mean of the parts."""
        return (self.spatial * self.temporal * self.audio) ** (1 / 3)


def adfd(points: Tensor, truth: Tensor, sound: Tensor, layout: Layout) -> FacialDynamics:
    """Return ADFD of points `(frames, P, 2)` against the recording's, under a sound energy `(frames,)`.

    Heads are turned, shifted and scaled onto the recording's mean shape first, frame by frame, so that where a head
    points does not count. The recording itself scores 1 if it follows its sound at `LEAST_CORRELATION` or better; a
    still picture 0, with temporal 0.5 and audio 0. Nobody follows a sound that is equally loud throughout: audio, lag
    and value are NaN.
    """
    shape = _mean_shape(truth, layout)
    mine, true = _align(points, shape), _align(truth, shape)
    heard = [best_lag(sound, layout.opening(set_), MAX_LAG) for set_ in (points, truth)]
    followed = heard[0].r / max(heard[1].r, LEAST_CORRELATION)
    audio = followed if isnan(followed) else max(0.0, min(1.0, followed))
    spatial = torch.exp(-(mine - true).abs().mean(dim=1) / TAU).mean().item()
    return FacialDynamics(spatial, (1 + _follow(mine, true, layout)) / 2, audio, heard[0].lag)


def _align(points: Tensor, shape: Tensor) -> Tensor:
    """Return points as complex numbers (frames, P), each frame rotated and scaled to fit a shape (P,) best."""
    centred = _centre(points)
    fit = (centred.conj() * shape).sum(1, keepdim=True) / centred.abs().square().sum(1, keepdim=True).clamp(min=1e-12)
    return centred * fit


def _centre(points: Tensor) -> Tensor:
    plane = torch.view_as_complex(points.double().contiguous())
    return plane - plane.mean(dim=1, keepdim=True)


def _mean_shape(points: Tensor, layout: Layout) -> Tensor:
    """Return the mean of all frames' shapes (P,), in units of the distance of the eyes."""
    mean = _align(points, _centre(points)[0]).mean(dim=0)
    return mean / layout.eye_distance(torch.view_as_real(mean)[None])[0].clamp(min=1e-12)


def _follow(mine: Tensor, true: Tensor, layout: Layout) -> float:
    """Return the weighted Pearson r of all points' velocities; what stands still follows nothing: 0."""
    weights = torch.ones(mine.shape[1], dtype=torch.float64)
    weights[layout.mouth] = MOUTH_WEIGHT
    weights = weights[:, None].expand(len(mine) - 1, -1, 2).flatten()
    x, y = (torch.view_as_real(set_.diff(dim=0)).flatten() for set_ in (mine, true))
    x, y = (track - (weights * track).sum() / weights.sum() for track in (x, y))
    spread = ((weights * x.square()).sum() * (weights * y.square()).sum()).sqrt()
    return ((weights * x * y).sum() / spread).item() if spread > 1e-12 else 0.0
