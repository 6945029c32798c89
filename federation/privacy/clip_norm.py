"""A clip norm that follows the clients' vectors: one bit of each, hidden in the same sum, moves it between rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from federation.args import ClippingArgs
from federation.privacy.sensitivity import Grid, shorten

MAX_STEP = 2.0
"""Noise can make the bits' mean any number; beyond 2 in size it would only be noise."""
STEPS_NOTE = "clip_steps"
"""Note of a run whose S moves: what moved it, round by round, from which devices work S out for themselves."""


def clip_grid(clip_norm: float, size: int, clipping: ClippingArgs) -> Grid:
    """Return the grid that a vector of shape (size,), with its clip bit if there is one, is rounded to.

    The bit is at most zeta max(kappa, 1 - kappa) in size, so S' = sqrt(S^2 + zeta^2 max(kappa, 1 - kappa)^2) bounds
    both. The noise is made for S': the bit needs no budget of its own.
    """
    if not clipping.adaptive:
        return Grid(clip_norm, size)
    largest_bit = clipping.bit_scale * max(clipping.quantile, 1 - clipping.quantile)
    return Grid(clip_norm * math.hypot(1.0, largest_bit), size + 1)


def append_clip_bit(vector: np.ndarray, clip_norm: float, clipping: ClippingArgs) -> np.ndarray:
    """Return a contributor's vector cut to S, with zeta (1[it was no longer than S] - kappa) behind it, (size + 1,).

    A vector with NaN or infinity becomes zeros, the bit included. So must the vector of a client whose data is not in
    the round: a bit that is there would tell the coin, so do not call this for it.
    """
    if not np.isfinite(vector).all():
        return np.zeros(vector.size + 1)
    shortened, clip_factor = shorten(vector, clip_norm, clip_norm)
    return np.append(shortened, _scale(clip_norm, clipping) * ((clip_factor == 1) - clipping.quantile))


def next_clip_norm(clip_norm: float, bits: float, contributors: float, clipping: ClippingArgs) -> float:
    """Return S exp(-eta clip(a / (zeta q n), +-2)), kept within [S_min, S_max].

    Andrew et al. 2021 (arXiv 1905.03871), algorithm 1, geometric update: with b the share of contributors whose vector
    was no longer than S, a / (zeta q n) is b - kappa in the mean, so S shrinks while more than kappa of them fit.

    Args:
        clip_norm: S of the round whose sum was formed.
        bits: a, the noisy sum of the clip bits.
        contributors: q n, the expected number of survivors with data. The true one stays unknown.
        clipping: The public rule.
    """
    excess = bits / (_scale(clip_norm, clipping) * contributors)
    moved = clip_norm * math.exp(-clipping.learning_rate * min(max(excess, -MAX_STEP), MAX_STEP))
    return min(max(moved, clipping.smallest), clipping.largest)


def replay_clip_norm(
    first: float, steps: Iterable[tuple[float, int]], contributing: float, clipping: ClippingArgs
) -> float:
    """Return S after the rounds whose clip bits were released, as everybody can work it out.

    Args:
        first: S of the first round.
        steps: For each round the noisy sum of the bits, and the clients in that sum.
        contributing: Probability that a client in a sum has data in it.
        clipping: The public rule.
    """
    clip_norm = first
    for bits, clients in steps:
        clip_norm = next_clip_norm(clip_norm, bits, contributing * clients, clipping)
    return clip_norm


def demand_clip_norm(clip_norm: float, clipping: ClippingArgs) -> None:
    """Raise ValueError where a clip norm that may move has left its public range, or is no number."""
    if clipping.adaptive and not clipping.smallest <= clip_norm <= clipping.largest:
        raise ValueError(
            f"The clip norm must lie within `--clipping.smallest` and `--clipping.largest`, {clipping.smallest} and "
            f"{clipping.largest}. Got {clip_norm}. Widen them, or change `--privacy.clip_norm`."
        )


def _scale(clip_norm: float, clipping: ClippingArgs) -> float:
    """Return zeta."""
    return clipping.bit_scale * clip_norm
