"""Discrete Gaussian noise, in bulk, from a table of its cumulative distribution."""

from __future__ import annotations

import math
from bisect import bisect_right
from decimal import Decimal, localcontext

import numpy as np

from federation.key_stream import KeyStream
from federation.privacy.exact_gaussian import sample_exact

MAX_TABLE_VARIANCE = 50_000**2
TAIL = 14
"""Standard deviations covered by the table; the mass beyond is below 2^-139."""
TABLE_BITS = 191
TOTAL_VARIATION = 2.0**-128
"""Bound on the distance of one draw to the exact distribution, at any variance that has a table."""
CELL_BITS = 16
"""The first bits of a draw; they alone place most draws, and a table of 2^16 cells stays in the processor's cache."""
_WORKING_BITS = 320


class DiscreteGaussian:
    """Sampler of N_Z(0, variance): P(x) proportional to exp(-x^2 / (2 variance)) on the integers.

    Inversion of the cumulative distribution of |x|, kept to 191 bits. Most draws are placed by their first 16 bits, the
    others are searched by 63; those that 63 bits cannot place take 128 more. The table is built once (tens of
    milliseconds at a standard deviation of 3,000). Above a standard deviation of 50,000 the exact sampler is used.
    """

    def __init__(self, variance: int) -> None:
        if variance < 1 or variance != int(variance):
            raise ValueError(f"The variance of discrete Gaussian noise must be a positive integer. Got {variance}.")
        self.variance = int(variance)
        self._table = _cumulative(self.variance) if self.variance <= MAX_TABLE_VARIANCE else None
        if self._table is not None:
            self._heads = np.array([entry >> 128 for entry in self._table], np.uint64)
            self._placed = _placed_by_cell(self._heads)

    def sample(self, count: int, stream: KeyStream) -> np.ndarray:
        """Return `count` independent draws, int64."""
        if self._table is None:
            return sample_exact(self.variance, count, stream)
        words = stream.uint64(count)
        magnitudes = self._placed[words >> np.uint64(64 - CELL_BITS)]
        split = np.flatnonzero(magnitudes < 0)
        magnitudes[split] = self._search(words[split] >> np.uint64(1), stream)
        return np.where(words & np.uint64(1), -magnitudes, magnitudes)

    def _search(self, heads: np.ndarray, stream: KeyStream) -> np.ndarray:
        """Return |x| for draws given by 63 bits, and by more where those are not enough."""
        magnitudes = np.searchsorted(self._heads, heads, side="right")
        # A head equal to a table entry's could lie on either side of it: more bits decide.
        for index in np.flatnonzero(self._heads[magnitudes - 1] == heads):
            draw = int(heads[index]) << 128 | int.from_bytes(stream.bytes(16), "big")
            magnitudes[index] = bisect_right(self._table, draw)
        return magnitudes


def _placed_by_cell(heads: np.ndarray) -> np.ndarray:
    """Return |x| for every value of a draw's first bits, or -1 where a table entry lies among those draws."""
    edges = np.arange(2**CELL_BITS, dtype=np.uint64) << np.uint64(63 - CELL_BITS)
    below = np.searchsorted(heads, edges, side="left")
    return np.where(np.append(below[1:], heads.size) > below, -1, below)


def _cumulative(variance: int) -> list[int]:
    """Return P(|X| <= k) * 2^191 for k = 0, 1, ... up to the tail, rounded down.

    p(k + 1) = p(k) r(k) and r(k + 1) = r(k) exp(-1 / variance), in 320-bit fixed point: after K steps the error is
    below K^2 2^-320.
    """
    with localcontext() as context:
        context.prec = 110
        ratio = int((Decimal(-1) / (2 * variance)).exp() * 2**_WORKING_BITS)
        shrink = int((Decimal(-1) / variance).exp() * 2**_WORKING_BITS)
    weight = 1 << _WORKING_BITS
    sums = [weight]
    for _ in range(TAIL * (math.isqrt(variance) + 1)):
        weight = weight * ratio >> _WORKING_BITS
        ratio = ratio * shrink >> _WORKING_BITS
        sums.append(sums[-1] + 2 * weight)
    # The last entry is left out: it is 2^191, which no draw reaches.
    return [(entry << TABLE_BITS) // sums[-1] for entry in sums[:-1]]
