"""Whether the mouth follows the sound: loudness, motion and mouth opening over time, and how they go together."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan

import torch
from torch import Tensor
from torchmetrics.functional import pearson_corrcoef

from datamodules.clips import SAMPLES_PER_FRAME

MAX_LAG = 5
"""Frames by which sound and motion may be apart."""


@dataclass(frozen=True)
class Lagged:
    """A correlation at the lag where it is largest; the lag is positive where motion follows the sound, in frames.

    Both are NaN where no lag has a correlation.
    """

    r: float
    lag: float


def correlation(signal: Tensor, truth: Tensor) -> float:
    """Return the signed Pearson r at lag 0 of two tracks `(frames,)`.

    A signal that does not move follows nothing: 0. A truth that does not move can score nobody: NaN.
    """
    if truth.std() < 1e-6:
        return float("nan")
    if signal.std() < 1e-6:
        return 0.0
    return pearson_corrcoef(signal.double(), truth.double()).item()


def sound_energy(waveform: Tensor, frames: int) -> Tensor:
    """Return how loud each video frame is `(frames,)`: the root mean square of its sound."""
    return waveform[: frames * SAMPLES_PER_FRAME].view(frames, SAMPLES_PER_FRAME).square().mean(1).sqrt()


def motion_energy(region: Tensor) -> Tensor:
    """Return how much a region moves around each frame `(frames,)`: the mean change from the frame before to the next.

    Noise moves as much as anything; only the correlation with the sound says whether motion is speech.

    Args:
        region: uint8 `(frames, 3, height, width)`.
    """
    change = (region / 255).diff(dim=0).abs().mean(dim=(1, 2, 3))
    return (torch.cat([change[:1], change]) + torch.cat([change, change[-1:]])) / 2


def best_lag(sound: Tensor, motion: Tensor, max_lag: int = MAX_LAG) -> Lagged:
    """Return the largest correlation of two tracks `(frames,)` over shifts of at most `max_lag` frames.

    The largest of several correlations is above 0 even where nothing is related: compare it with the noise anchor's.
    """
    length = len(sound)
    tried = [
        Lagged(correlation(motion[max(0, lag) : length + min(0, lag)], sound[max(0, -lag) : length - max(0, lag)]), lag)
        for lag in sorted(range(-max_lag, max_lag + 1), key=abs)
        if length - abs(lag) > 1
    ]
    known = [at for at in tried if not isnan(at.r)]
    return max(known, key=lambda at: at.r, default=Lagged(nan, nan))
