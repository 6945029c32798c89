"""Discrete Gaussian noise without a table: slower, any variance; the oracle that the table is tested against."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np

from federation.key_stream import KeyStream

_DOUBT = 2.0**-40
"""Far above the error of a float64 exponential (about 2^-52), far below what would cost time."""


def sample_exact(variance: int, count: int, stream: KeyStream) -> np.ndarray:
    """Return `count` draws from the discrete Gaussian N_Z(0, variance), int64.

    Canonne, Kamath and Steinke 2020 (arXiv 2004.00027), algorithms 1 to 3: rejection from a discrete Laplace
    distribution. Exact to 2^-256 per coin.
    """
    scale = math.isqrt(variance) + 1
    accepted, missing = [np.empty(0, np.int64)], count
    while missing:
        # A draw is accepted with probability above 0.7.
        laplace = _discrete_laplace(scale, missing * 3 // 2 + 16, stream)
        accepted.append(laplace[_is_kept(laplace, variance, scale, stream)][:missing])
        missing -= accepted[-1].size
    return np.concatenate(accepted)


def _is_kept(laplace: np.ndarray, variance: int, scale: int, stream: KeyStream) -> np.ndarray:
    """Keep a Laplace draw y with probability exp(-(|y| - variance / scale)^2 / (2 variance)) (CKS, algorithm 3)."""
    distance = np.abs(laplace) * float(scale) - variance

    def exponent(index: int) -> Decimal:
        gap = abs(int(laplace[index])) * scale - variance
        return Decimal(gap * gap) / (2 * variance * scale * scale)

    return _bernoulli_exp(distance * distance / (2.0 * variance * scale * scale), exponent, stream)


def _discrete_laplace(scale: int, count: int, stream: KeyStream) -> np.ndarray:
    """Return about `count` draws with P(x) proportional to exp(-|x| / scale), int64 (CKS, algorithm 2)."""
    offset = stream.integers_below(scale, count * 2).astype(np.int64)
    offset = offset[_bernoulli_exp(offset / scale, lambda index: Decimal(int(offset[index])) / scale, stream)]
    magnitude = offset + scale * _geometric(offset.size, stream)
    negative = (stream.uint64(offset.size) & np.uint64(1)).astype(bool)
    return np.where(negative, -magnitude, magnitude)[~(negative & (magnitude == 0))]


def _geometric(count: int, stream: KeyStream) -> np.ndarray:
    """Return the numbers of successes before the first failure of coins with probability 1/e, int64."""
    successes = np.zeros(count, np.int64)
    running = np.arange(count)
    while running.size:
        running = running[_bernoulli_exp(np.ones(running.size), lambda index: Decimal(1), stream)]
        successes[running] += 1
    return successes


def _bernoulli_exp(exponents: np.ndarray, exponent: Callable[[int], Decimal], stream: KeyStream) -> np.ndarray:
    """Toss coins with probability exp(-exponents).

    Float64 decides where the uniform draw is clearly on one side; the rest (one in 10^12) is decided by 256 bits
    against the decimal expansion of the exact `exponent(index)`.
    """
    words = stream.uint64(exponents.size)
    gap = np.exp(-exponents) - words * 2.0**-64
    heads = gap > 0
    for index in np.flatnonzero(np.abs(gap) < _DOUBT):
        word = int(words[index]) << 192 | int.from_bytes(stream.bytes(24), "big")
        with localcontext() as context:
            context.prec = 100
            heads[index] = word < int((-exponent(index)).exp() * 2**256)
    return heads
