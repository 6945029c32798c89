"""Means with their uncertainty: people are what is sampled, so intervals are over people and never over clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import bootstrap
from scipy.stats import t as student

TOO_FEW = 3
"""Up to this many people are listed one by one: an interval over them would mean nothing."""

FEW = 20
"""Below this many people the percentile bootstrap is too narrow, and a t interval stands beside it."""


@dataclass(frozen=True)
class Estimate:
    """A mean over clips with its 95 % intervals over people; None where there are too few people for one."""

    mean: float
    low: float | None
    """Of the percentile bootstrap."""
    high: float | None
    t_low: float | None = None
    """Of Student's t over people; None from `FEW` people on."""
    t_high: float | None = None
    people: dict[str, float] = field(default_factory=dict)
    """Each person's mean."""

    def __str__(self) -> str:
        """Write the mean and, in brackets, the bootstrap interval."""
        return f"{self.mean:.2f}" if self.low is None else f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def excludes_zero(self) -> bool | None:
        """Return whether every interval there is excludes 0; None where there is none."""
        if self.low is None:
            return None
        sides = [(self.low, self.high)] if self.t_low is None else [(self.low, self.high), (self.t_low, self.t_high)]
        return all(low > 0 or high < 0 for low, high in sides)


def estimate(values: Sequence[float], people: Sequence[str]) -> Estimate:
    """Return the mean over clips, with intervals over whole people; NaNs are left out.

    Clips of one person are not independent, so 10,000 resamplings draw people with all their clips. The t interval is
    that of a ratio of sums over people (Cochran 1977, eq. 6.13), which for equal numbers of clips is the usual one
    over people's means.

    Args:
        values: One of each clip.
        people: Whose clip it is.
    """
    rows: dict[str, list[float]] = {}
    for value, person in zip(values, people, strict=True):
        if not np.isnan(value):
            rows.setdefault(person, []).append(float(value))
    if not rows:
        return Estimate(float("nan"), None, None)
    means = {person: sum(row) / len(row) for person, row in sorted(rows.items())}
    sums = np.array([sum(rows[person]) for person in means])
    counts = np.array([len(rows[person]) for person in means])
    mean = float(sums.sum() / counts.sum())
    if len(means) <= TOO_FEW:
        return Estimate(mean, None, None, people=means)
    t_sides = _t_interval(mean, sums, counts) if len(means) < FEW else (None, None)
    return Estimate(mean, *_bootstrap_interval(sums, counts), *t_sides, people=means)


def paired_difference(first: Sequence[float], second: Sequence[float], people: Sequence[str]) -> Estimate:
    """Return the mean of first minus second, clip by clip, with intervals over people.

    Both must be of the same clips in the same order, generated from the same start noise: what clips have in common
    then cancels, and the interval is that of the difference alone.
    """
    return estimate([one - other for one, other in zip(first, second, strict=True)], people)


def _bootstrap_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    interval = bootstrap(
        (sums, counts),
        lambda total, count, axis: total.sum(axis) / count.sum(axis),
        paired=True,
        n_resamples=9_999,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _t_interval(mean: float, sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    residuals = (sums - mean * counts) / counts.mean()
    people = len(sums)
    half = student.ppf(0.975, people - 1) * residuals.std(ddof=1) / np.sqrt(people)
    return float(mean - half), float(mean + half)
