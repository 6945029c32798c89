"""T1: no vector, however broken, leaves the integer bound; encoders with the usual bugs do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from federation.key_stream import KeyStream
from federation.privacy.rounding import ATTEMPTS
from federation.privacy.sensitivity import Grid, clip_to_grid, decode, shorten, squared_norm

D = 2_000
GRID = Grid(clip_norm=1.0, dimension=D)
Encoder = Callable[[np.ndarray], np.ndarray]


def stream(index: int = 0) -> KeyStream:
    return KeyStream(index.to_bytes(32, "big"))


def adversarial_vectors() -> dict[str, np.ndarray]:
    normal = np.random.default_rng(0).normal(size=D)
    unit = normal / np.linalg.norm(normal)
    one_hot = np.eye(1, D)[0]
    return {
        "zero": np.zeros(D),
        "ordinary": unit,
        "a thousand times": 1000 * unit,
        "just over": (1 + 1e-7) * unit,
        "one coordinate": 50 * one_hot,
        "large part after a small one": np.r_[unit[: D // 2], 3 * unit[D // 2 :]],
        "1e300": 1e300 * unit,
        "1e308 everywhere": np.full(D, 1e308),
        "denormal": 5e-324 * np.ones(D),
        "tiny": 1e-200 * unit,
        "nan": np.where(one_hot > 0, np.nan, 1e7 * unit),
        "inf": np.where(one_hot > 0, np.inf, unit),
        "minus inf": np.where(one_hot > 0, -np.inf, unit),
        "inf and nan": np.r_[np.inf, -np.inf, np.nan, unit[3:]],
    }


def stays_within_bound(encode: Encoder) -> bool:
    with np.errstate(all="ignore"):
        return all(squared_norm(encode(v)) <= GRID.bound_squared for v in adversarial_vectors().values())


def round_to_grid(vector: np.ndarray) -> np.ndarray:
    return np.floor(vector / GRID.step + 0.5).astype(np.int64)


def without_clip(vector: np.ndarray) -> np.ndarray:
    return round_to_grid(vector)


def clipped_per_tensor(vector: np.ndarray) -> np.ndarray:
    halves = [np.nan_to_num(half, posinf=0, neginf=0) for half in np.split(vector, 2)]
    return round_to_grid(np.concatenate([half / max(1.0, np.linalg.norm(half)) for half in halves]))


def letting_nan_pass(vector: np.ndarray) -> np.ndarray:
    # Python's min(1, nan) is 1: the clip that Flower 1.41 ships.
    factor = min(1.0, 1.0 / max(1e-300, float(np.linalg.norm(vector))))
    return round_to_grid(np.nan_to_num(vector * factor))


def test_the_bound_holds_on_adversarial_vectors():
    assert stays_within_bound(lambda vector: clip_to_grid(vector, GRID, stream()))


@pytest.mark.parametrize("fault", [without_clip, clipped_per_tensor, letting_nan_pass])
def test_the_bound_breaks_with_a_faulty_clip(fault):
    assert not stays_within_bound(fault)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(width=64)), st.floats(1e-6, 1e6))
def test_the_bound_holds_on_any_vector(vector, clip_norm):
    grid = Grid(clip_norm, vector.size)
    encoded = clip_to_grid(vector, grid, stream())
    assert encoded.dtype == np.int64
    assert sum(int(value) ** 2 for value in encoded) <= grid.bound_squared


@pytest.mark.parametrize("name", ["nan", "inf", "minus inf", "inf and nan"])
def test_what_is_not_finite_becomes_zero(name):
    vector = adversarial_vectors()[name]
    assert not clip_to_grid(vector, GRID, stream()).any()
    assert shorten(vector, 1.0, 1.0)[1] == 0


def test_a_zero_vector_stays_zero_and_unclipped():
    assert not clip_to_grid(np.zeros(D), GRID, stream()).any()
    assert shorten(np.zeros(D), 1.0, 1.0)[1] == 1


@pytest.mark.parametrize(("scale", "factor"), [(0.5, 1.0), (0.999, 1.0), (4.0, 0.25), (1e300, 1e-300)])
def test_clipping_scales_and_never_bends(scale, factor):
    unit = adversarial_vectors()["ordinary"]
    encoded = clip_to_grid(scale * unit, GRID, stream())
    assert shorten(scale * unit, GRID.clip_norm, GRID.radius)[1] == pytest.approx(factor)
    np.testing.assert_allclose(decode(encoded, GRID), scale * factor * unit, atol=GRID.step)


def test_rounding_is_unbiased():
    vector = np.full(D, 0.3 * GRID.step)
    mean = np.mean([clip_to_grid(vector, GRID, stream(i)).mean() for i in range(20)])
    assert abs(mean - 0.3) < 5 * math.sqrt(0.21 / (20 * D))


def test_every_attempt_is_evaluated_whatever_the_vector(monkeypatch):
    fills = []
    monkeypatch.setattr(KeyStream, "fill", lambda self, out: fills.append(out.size) or out.fill(0))
    for vector in adversarial_vectors().values():
        fills.clear()
        clip_to_grid(vector, GRID, stream())
        assert fills == [D] * ATTEMPTS


def test_a_refused_rounding_is_tried_again(monkeypatch):
    # Rounded up everywhere the vector leaves the bound; with 0.6 added before the floor it becomes 20 everywhere.
    words = iter([2**32 - 1] + [int(0.6 * 2**32)] * (ATTEMPTS - 1))
    monkeypatch.setattr(KeyStream, "fill", lambda self, out: out.fill(next(words)))
    vector = np.tile([20.3, 19.5], D // 2) * GRID.step
    assert set(clip_to_grid(vector, GRID, stream())) == {20}


def test_when_no_rounding_passes_the_vector_is_truncated(monkeypatch):
    monkeypatch.setattr(KeyStream, "fill", lambda self, out: out.fill(2**32 - 1))
    vector = np.tile([20.3, 19.5], D // 2) * GRID.step
    np.testing.assert_array_equal(clip_to_grid(vector, GRID, stream()), np.tile([20, 19], D // 2))


@pytest.mark.parametrize("dimension", [1, 2, 50, 1000, 10**6])
def test_truncation_always_satisfies_the_bound(dimension):
    grid = Grid(1.0, dimension)
    assert grid.bound_squared > grid.radius**2
    assert grid.radius == pytest.approx(grid.clip_norm / grid.step)


def test_rounding_inflates_the_bound_by_little():
    grid = Grid(1.0, 10**6)
    assert math.sqrt(grid.bound_squared) * grid.step == pytest.approx(1.0003, abs=1e-4)


@pytest.mark.parametrize(
    "values", [[3, -4], [0, -(2**30 + 1)], [2**31, -(2**31)], [2**53 + 1, 1], [-(2**63), 2**63 - 1]]
)
def test_squared_norms_are_exact_at_any_size(values):
    assert squared_norm(np.array(values, np.int64)) == sum(value**2 for value in values)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, math.nan, math.inf])
def test_impossible_clip_norms_are_refused(clip_norm):
    with pytest.raises(ValueError, match="clip_norm"):
        Grid(clip_norm, 10)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="shape"):
        clip_to_grid(np.zeros(D + 1), GRID, stream())
