"""Whether noise has the variance that was accounted for, and whether epsilon is another accountant's."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from benchmarks.report import Bar
from federation.key_source import OperatingSystemKeys
from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.cohort_counts import provision
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.noise_calibration import plan_noise
from federation.privacy.sensitivity import Grid, clip_to_grid
from federation.secure_aggregation.masks import from_ring, to_ring

GRID = Path(__file__).parents[1] / "tests" / "federation" / "privacy" / "pld_grid.json"
"""Epsilons of fifty runs by dp-accounting's privacy loss distributions."""
NOISE_MULTIPLIER = 1.3
COHORT = provision(10, colluding_share=0.1, dropout_share=0.1)
TOLERANCE = 0.01
MOST_FALSE_ALARMS = 1e-6


def measure_noise(dimension: int) -> tuple[dict[str, float], list[Bar]]:
    """Send zeros through clip, noise and ring, and compare the sum's variance with m sigma_k^2 at every m.

    The sum's D coordinates are close to normal, so its variance over its expectation has deviation sqrt(2 / D).
    """
    grid, keys = Grid(1.0, dimension), OperatingSystemKeys()
    variance = plan_noise(NOISE_MULTIPLIER, grid, COHORT).variance
    sampler, total, ratios = DiscreteGaussian(variance), np.zeros(dimension, np.uint32), {}
    for m in range(1, COHORT.clients + 1):
        encoded = clip_to_grid(np.zeros(dimension), grid, keys.stream("", 0, 0, "rounding"))
        total += to_ring(encoded + sampler.sample(dimension, keys.stream("", 0, 0, "noise")))
        if m >= COHORT.honest:
            ratios[str(m)] = float(np.mean(from_ring(total).astype(np.float64) ** 2)) / (m * variance)
    worst = max(abs(ratio - 1) for ratio in ratios.values())
    alarms = len(ratios) * math.erfc(TOLERANCE / math.sqrt(2 / dimension) / math.sqrt(2))
    between = f"m = {COHORT.honest} to {COHORT.clients}"
    return ratios, [
        Bar.at_most(f"noise: variance of the sum off by, percent, {between}, D = {dimension}", 100 * worst, 1.0),
        Bar.at_most("noise: chance of a false alarm", alarms, MOST_FALSE_ALARMS),
    ]


def measure_epsilon(points: int | None = None) -> tuple[dict[str, float], list[Bar]]:
    """Compare epsilon with the other accountant's.

    Args:
        points: How many of the grid, from the first; all if not given.
    """
    chosen = json.loads(GRID.read_text())["points"][:points]
    gaps = [epsilon_of(point) - point["epsilon"] for point in chosen]
    finite = [gap for gap in gaps if math.isfinite(gap)]
    figures = {"points": len(gaps), "finite": len(finite), "least": min(gaps), "largest": max(gaps)}
    return figures, [
        Bar.at_least("epsilon: finite points of the grid", len(finite), 50 if points is None else points),
        Bar.at_least("epsilon: ours less PLD, least", min(gaps), 0.0),
        Bar.at_most("epsilon: ours less PLD, largest", max(gaps), 0.02),
    ]


def epsilon_of(point: dict[str, float]) -> float:
    """Return our epsilon of a run on the grid."""
    return epsilon_after([Release(point["z"], point["q"], point["rounds"])], point["delta"]).value
