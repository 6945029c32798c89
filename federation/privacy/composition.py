"""One figure for many rounds: opacus behind checks of everything it silently gets wrong.

Opacus loops for ever on a NaN noise multiplier and answers for delta >= 1, which bounds nothing, so nothing comes here
unchecked (`Release` and `demand_delta` see to that). The discrete Gaussian sum is covered by both of its accountants
(docs/privacy.md).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

RDP_ORDERS = [*range(2, 257), *range(272, 513, 16), *range(576, 1025, 64)]
"""Integers only: at these, and not in between, opacus' formula is exact for the discrete Gaussian."""
LOW_ORDERS = [*range(2, 9), 16, 32, 64]
"""Enough to see, in milliseconds, whether epsilon is far too large for PRV; there the best order is below 8."""
MAX_PRV_EPSILON = 200
"""Above, PRV's grid grows to minutes and infinity; RDP says as clearly that there is no privacy."""
MIN_PRV_DELTA = 1e-10
"""Below, PRV's Fourier transforms have no digits left."""

History = tuple[tuple[float, float, int], ...]
"""(noise multiplier, sample rate, rounds), each pair once, in ascending order."""


@dataclass(frozen=True)
class Epsilon:
    """An upper bound on epsilon, and how it was computed."""

    value: float
    method: Literal["prv", "rdp"]


@lru_cache(maxsize=4096)
def compose(history: History, delta: float) -> Epsilon:
    """Return PRV's upper bound where it is finite (Gopi et al. 2021), else RDP's at integer orders (Mironov 2017)."""
    if not history:
        return Epsilon(0.0, "prv")
    history = _as_one_round(history)
    if delta >= MIN_PRV_DELTA and _opacus_epsilon("rdp", history, delta, alphas=LOW_ORDERS) <= MAX_PRV_EPSILON:
        tight = _opacus_epsilon("prv", history, delta)
        if math.isfinite(tight):
            return Epsilon(tight, "prv")
    return Epsilon(_opacus_epsilon("rdp", history, delta, alphas=RDP_ORDERS), "rdp")


def _as_one_round(history: History) -> History:
    """Return the same history with all unsampled rounds as one.

    Gaussian rounds compose to a Gaussian round, 1/z^2 = sum of rounds / z_i^2 (Dong, Roth and Su 2022, cor. 3.3),
    exactly and without opacus' convolutions.
    """
    sampled = tuple((z, q, rounds) for z, q, rounds in history if q < 1)
    inverse = math.fsum(rounds / z**2 for z, q, rounds in history if q == 1)
    return (*sampled, (1 / math.sqrt(inverse), 1.0, 1)) if inverse else sampled


def _opacus_epsilon(mechanism: str, history: History, delta: float, **options: object) -> float:
    """Return what opacus computes, infinity where it gives up or answers no number.

    Much noise at a large delta gives a negative bound. It is a true one, and (-x, delta) implies (0, delta).
    """
    from opacus.accountants import create_accountant

    accountant = create_accountant(mechanism=mechanism)
    accountant.history = list(history)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # RDP: the best order is the last; PRV: overflows that end in infinity
            epsilon = float(accountant.get_epsilon(delta=delta, **options))
    except (OverflowError, RuntimeError):
        return math.inf
    return max(epsilon, 0.0) if epsilon > -math.inf else math.inf
