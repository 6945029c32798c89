"""Clipping that holds exactly: an integer vector whose squared norm never exceeds an integer bound.

A client's vector is scaled to the clip norm in floating point, rounded at random to a fine integer grid, and only
then tested, in exact integer arithmetic, against the bound that the noise is calibrated to. So neither rounding
errors nor NaN, infinity or 1e300 can make one client count for more than the guarantee allows.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from federation.key_stream import KeyStream
from federation.privacy.rounding import round_within

STEPS_PER_ROOT_DIMENSION = 20
"""Clip norm in grid steps, per square root of the dimension. At 20, rounding costs 0.03 % more noise (large D), and
the sum of 10,000 clients still fits 32 bits."""


@dataclass(frozen=True)
class Grid:
    """The integer grid that vectors of one length are rounded to; public and the same for every client."""

    clip_norm: float
    """S, the L2 bound in the units of the vector."""
    dimension: int
    """D, the length of the vector."""

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise ValueError(f"A vector to clip needs at least one coordinate. Got {self.dimension}.")
        # A step below the normal numbers would have lost digits, or be zero.
        if not (math.isfinite(self.clip_norm) and self.clip_norm > 0 and self.step >= sys.float_info.min):
            raise ValueError(f"`--privacy.clip_norm` must be a positive number. Got {self.clip_norm}.")

    @property
    def radius(self) -> float:
        """Return the clip norm in grid steps, c = 20 sqrt(D)."""
        return STEPS_PER_ROOT_DIMENSION * math.sqrt(self.dimension)

    @property
    def step(self) -> float:
        """Return the width of the grid in the units of the vector."""
        return self.clip_norm / self.radius

    @property
    def bound_squared(self) -> int:
        """Return B2, the squared L2 norm that no rounded vector exceeds.

        Kairouz, Liu and Steinke 2021, Prop. 4.7 (conditional randomised rounding) with beta = e^-1/2.
        """
        c, root = self.radius, math.sqrt(self.dimension)
        return math.floor(min((c + root) ** 2, c**2 + self.dimension / 4 + c + root / 2))


def squared_norm(integers: np.ndarray) -> int:
    """Return the exact squared L2 norm of integer values (of any float or integer type)."""
    peak = max(int(integers.max()), -int(integers.min()))
    if peak * peak * integers.size < 2**53:
        # Every partial sum is an integer below 2^53, so float64 is exact in any order of summation, and fast.
        floats = np.asarray(integers, np.float64)
        return int(np.dot(floats, floats))
    if peak * peak * integers.size < 2**63:
        exact = integers.astype(np.int64)
        return int(np.dot(exact, exact))
    return sum(int(value) ** 2 for value in integers)


def clip_to_grid(vector: np.ndarray, grid: Grid, stream: KeyStream) -> np.ndarray:
    """Scale a vector to at most the clip norm and round it to the grid, int64, shape (D,).

    The squared norm of what is returned is at most the grid's `bound_squared`.

    The rounding is unbiased as long as an attempt passes the norm test; each does with probability above 0.39, in
    practice always. If none of the 20 passes, the vector is truncated toward zero, which always does. A vector with
    NaN or infinity becomes zeros. Who can time this code on the client's own device is not kept from learning
    about the vector.

    Raises:
        ValueError: If the vector's shape is not (D,).
    """
    if vector.shape != (grid.dimension,):
        raise ValueError(f"A vector for this grid has shape ({grid.dimension},). Got {vector.shape}.")
    scaled, _ = shorten(np.asarray(vector, np.float64), grid.clip_norm, grid.radius)
    rounded = round_within(scaled, grid.bound_squared, stream)
    integers = rounded.astype(np.int64)
    # The last word is exact and fails closed; truncation makes it unreachable.
    if squared_norm(integers) > grid.bound_squared:
        return np.zeros(grid.dimension, np.int64)
    return integers


def decode(integers: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the float64 vector that grid integers stand for, shape (D,)."""
    return integers.astype(np.float64) * grid.step


def shorten(vector: np.ndarray, clip_norm: float, radius: float) -> tuple[np.ndarray, float]:
    """Return the vector scaled to at most the clip norm, in units in which that is `radius`, and the clip factor.

    The clip factor is min(1, S / norm); 0, with zeros, where the vector holds NaN or infinity. Floating point may
    leave the result longer than `radius` by a few parts in 10^16.
    """
    peak = max(float(vector.max()), -float(vector.min()))
    if not math.isfinite(peak):
        return np.zeros(vector.size), 0.0
    step = clip_norm / radius
    if peak == 0:
        return vector / step, 1.0
    unit = vector / peak  # squares of 1e300 or 1e-300 would leave the range of a float
    length = math.sqrt(float(np.dot(unit, unit)))
    clip_factor = min(1.0, clip_norm / peak / length)
    unit *= radius / length if clip_factor < 1 else peak / step
    return unit, clip_factor
