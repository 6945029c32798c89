"""Unbiased rounding to integers that stays within a norm, in a time that does not tell how often it was tried."""

from __future__ import annotations

import numpy as np

from federation.key_stream import KeyStream

ATTEMPTS = 20
"""Rounding attempts; all are always evaluated, so that the time does not tell how many were needed."""
BLOCK = 1 << 16
"""Coordinates that are rounded at a time: what an attempt touches then stays in the processor's cache."""


def round_within(scaled: np.ndarray, bound_squared: int, stream: KeyStream) -> np.ndarray:
    """Return the first stochastic rounding whose squared norm is within the bound, else the truncation toward zero.

    Kairouz, Liu and Steinke 2021 (arXiv 2102.06387), Prop. 4.7. The exact test of what leaves is the caller's.

    Args:
        scaled: Float64, shape (D,), in grid steps, and no longer than the grid's radius but for floating point.
        bound_squared: B2.
        stream: Gives 32 bits to each coordinate in each attempt.

    Returns:
        Integer-valued float64, shape (D,).
    """
    chosen, candidate = np.trunc(scaled), np.empty(scaled.size)
    words = np.empty(min(BLOCK, scaled.size), np.uint32)
    accepted = False
    for _ in range(ATTEMPTS):
        length_squared = _round(scaled, stream, words, candidate)
        if length_squared <= bound_squared and not accepted:
            chosen, candidate, accepted = candidate, chosen, True
    return chosen


def _round(scaled: np.ndarray, stream: KeyStream, words: np.ndarray, out: np.ndarray) -> int:
    """Round to one of the two integers beside each coordinate, the mean unchanged, and return the squared norm.

    The norm's partial sums are integers below 441 D, so float64 holds them exactly.
    """
    length_squared = 0
    for start in range(0, scaled.size, BLOCK):
        block = out[start : start + BLOCK]
        drawn = words[: block.size]
        stream.fill(drawn)
        np.multiply(drawn, 2.0**-32, out=block)
        block += scaled[start : start + BLOCK]
        np.floor(block, out=block)
        length_squared += int(np.dot(block, block))
    return length_squared
