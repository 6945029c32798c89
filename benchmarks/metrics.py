"""How generated frames are scored: per frame against the frames decoded from the source clip, never after encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import Tensor
from torchmetrics.functional import pearson_corrcoef
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from datamodules.clips import SAMPLES_PER_FRAME

IDENTICAL = 100.0
"""PSNR of equal frames, dB; it would be infinite."""

MAX_LAG = 5
"""Frames by which sound and motion may be apart."""


@dataclass(frozen=True)
class Estimate:
    """A mean over people with its 95 % interval; None where fewer than two people allow none."""

    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """Write the mean and, in brackets, the interval."""
        return f"{self.mean:.2f}" if self.low is None else f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Lagged:
    """A correlation at the lag where it is largest; the lag is positive where motion follows the sound, in frames."""

    r: float
    lag: int


def psnr(frames: Tensor, target: Tensor) -> float:
    """Return the PSNR in dB, averaged over frames, of uint8 `(frames, 3, height, width)`."""
    values = peak_signal_noise_ratio(frames / 255, target / 255, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return values.clamp(max=IDENTICAL).mean().item()


def ssim(frames: Tensor, target: Tensor) -> float:
    """Return the SSIM (Wang et al. 2004, 11-pixel Gaussian), averaged over frames, of uint8 frames."""
    return (
        structural_similarity_index_measure(frames / 255, target / 255, data_range=1.0, reduction="none").mean().item()
    )


def correlation(signal: Tensor, truth: Tensor) -> float:
    """Return the signed Pearson r at lag 0 of two tracks `(frames,)`.

    A signal that does not move follows nothing: 0. A truth that does not move can score nobody: NaN.
    """
    if truth.std() < 1e-6:
        return float("nan")
    if signal.std() < 1e-6:
        return 0.0
    return pearson_corrcoef(signal.double(), truth.double()).item()


def estimate(values: Sequence[float], people: Sequence[str]) -> Estimate:
    """Return the mean over clips, with an interval from 10,000 resamplings of whole people (percentile bootstrap).

    Clips of one person are not independent, so people are drawn with all their clips. NaNs are left out.
    """
    owners = sorted({person for person, value in zip(people, values, strict=True) if not np.isnan(value)})
    if not owners:
        return Estimate(float("nan"), None, None)
    rows = [[v for v, p in zip(values, people, strict=True) if p == owner and not np.isnan(v)] for owner in owners]
    sums, counts = np.array([sum(row) for row in rows]), np.array([len(row) for row in rows])
    mean = float(sums.sum() / counts.sum())
    if len(owners) < 2:
        return Estimate(mean, None, None)
    interval = bootstrap(
        (sums, counts),
        lambda total, count, axis: total.sum(axis) / count.sum(axis),
        paired=True,
        n_resamples=9_999,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def sound_energy(waveform: Tensor, frames: int) -> Tensor:
    """Return how loud each video frame is `(frames,)`: the root mean square of its sound."""
    return waveform[: frames * SAMPLES_PER_FRAME].view(frames, SAMPLES_PER_FRAME).square().mean(1).sqrt()


def motion_energy(region: Tensor) -> Tensor:
    """Return how much a region moves around each frame `(frames,)`: the mean change from the frame before to the next.

    Args:
        region: uint8 `(frames, 3, height, width)`.
    """
    change = (region / 255).diff(dim=0).abs().mean(dim=(1, 2, 3))
    return (torch.cat([change[:1], change]) + torch.cat([change, change[-1:]])) / 2


def best_lag(sound: Tensor, motion: Tensor, max_lag: int = MAX_LAG) -> Lagged:
    """Return the largest correlation of two tracks `(frames,)` over shifts of at most `max_lag` frames."""
    length = len(sound)
    tried = [
        Lagged(correlation(motion[max(0, lag) : length + min(0, lag)], sound[max(0, -lag) : length - max(0, lag)]), lag)
        for lag in sorted(range(-max_lag, max_lag + 1), key=abs)
    ]
    return max(tried, key=lambda at: at.r if at.r == at.r else -2.0)
