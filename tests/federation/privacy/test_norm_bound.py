"""T1 at scale: random and broken updates, with and without a clip bit; none leaves the integer bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from federation.args import ClippingArgs
from federation.key_stream import KeyStream
from federation.privacy.clip_norm import append_clip_bit, clip_grid
from federation.privacy.sensitivity import Grid, clip_to_grid
from tests.federation.fuzz import cases

EXTREMES = np.array([0.0, -0.0, 5e-324, -1e-310, 1e-200, 1e154, 1e308, -1.7e308, np.inf, -np.inf, np.nan])
Encoder = Callable[[np.ndarray, Grid, ClippingArgs, float, KeyStream], np.ndarray]


def any_bits(generator: np.random.Generator, size: int) -> np.ndarray:
    return generator.integers(0, 2**64, size, dtype=np.uint64).view(np.float64)


def any_magnitude(generator: np.random.Generator, size: int) -> np.ndarray:
    return generator.normal(size=size) * 10.0 ** generator.uniform(-320, 307)


def barely_over(generator: np.random.Generator, size: int) -> np.ndarray:
    vector = generator.normal(size=size)
    return vector / np.linalg.norm(vector) * (1 + generator.uniform(-1, 1) * 10.0 ** generator.uniform(-16, 0))


def one_coordinate(generator: np.random.Generator, size: int) -> np.ndarray:
    return np.eye(1, size, int(generator.integers(size)))[0] * 10.0 ** generator.uniform(-3, 3)


def halfway_between_two_integers(generator: np.random.Generator, size: int) -> np.ndarray:
    return (generator.integers(-25, 25, size) + 0.5) * Grid(1.0, size).step


def extremes(generator: np.random.Generator, size: int) -> np.ndarray:
    return generator.choice(EXTREMES, size)


def finite_extremes(generator: np.random.Generator, size: int) -> np.ndarray:
    return generator.choice(EXTREMES[np.isfinite(EXTREMES)], size)


def one_value_broken(generator: np.random.Generator, size: int) -> np.ndarray:
    vector = any_magnitude(generator, size)
    vector[generator.integers(size)] = generator.choice(EXTREMES)
    return vector


FAMILIES = [
    any_bits,
    any_magnitude,
    barely_over,
    one_coordinate,
    halfway_between_two_integers,
    extremes,
    finite_extremes,
    one_value_broken,
]


def encode(vector: np.ndarray, grid: Grid, clipping: ClippingArgs, clip_norm: float, stream: KeyStream) -> np.ndarray:
    if clipping.adaptive:
        vector = append_clip_bit(vector, clip_norm, clipping)
    return clip_to_grid(vector, grid, stream)


def without_clip(vector: np.ndarray, grid: Grid, *others: object) -> np.ndarray:
    rounded = np.floor(np.nan_to_num(vector / grid.step, posinf=0, neginf=0) + 0.5)
    return np.clip(rounded, -(2.0**62), 2.0**62).astype(np.int64)


def clipped_in_floating_point_only(vector: np.ndarray, grid: Grid, *others: object) -> np.ndarray:
    # min(1, nan) is 1 in Python, so a vector with NaN keeps its length; rounding up is not looked at either.
    factor = min(1.0, grid.clip_norm / max(1e-300, float(np.linalg.norm(vector))))
    return without_clip(vector * factor, grid)


def violations(numbers: range, family: Callable, encoder: Encoder) -> list[int]:
    """Return the cases that leave the bound, or keep anything of a vector that is not finite; every other has a bit."""
    found = []
    for number in numbers:
        generator = np.random.default_rng(number)
        vector = family(generator, int(generator.integers(1, 33)))
        clip_norm = 10.0 ** generator.uniform(-6, 6) if number % 3 else 1.0
        clipping = ClippingArgs(adaptive=number % 2 == 1, quantile=generator.uniform())
        grid = clip_grid(clip_norm, vector.size, clipping)
        integers = encoder(vector, grid, clipping, clip_norm, KeyStream(number.to_bytes(32, "big"))).tolist()
        kept = any(integers) and not np.isfinite(vector).all()
        if kept or sum(value * value for value in integers) > grid.bound_squared:
            found.append(number)
    return found


NUMBERS = cases(1_000_000 // len(FAMILIES))


@pytest.mark.timeout(3600)  # of the full run on a busy machine; a sample takes half a second
@pytest.mark.parametrize("numbers", [NUMBERS[:60], pytest.param(NUMBERS[60:], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_update_leaves_the_bound(family, numbers):
    with np.errstate(all="ignore"):
        assert violations(numbers, family, encode) == []


@pytest.mark.parametrize("fault", [without_clip, clipped_in_floating_point_only])
def test_the_check_sees_a_faulty_clip(fault):
    with np.errstate(all="ignore"):
        seen = {family.__name__ for family in FAMILIES if violations(range(50), family, fault)}
    assert "extremes" in seen


@pytest.mark.parametrize("adaptive", [False, True])
def test_an_empty_update_is_refused(adaptive):
    clipping = ClippingArgs(adaptive=adaptive)
    with pytest.raises(ValueError, match=r"coordinate|zero-size|shape"):
        encode(np.zeros(0), clip_grid(1.0, 0, clipping), clipping, 1.0, KeyStream(bytes(32)))
