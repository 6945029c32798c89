"""The clip norm follows the clients' vectors, by a bit that the norm bound covers and that tells no coin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.args import ClippingArgs
from federation.key_stream import KeyStream
from federation.privacy.clip_norm import append_clip_bit, clip_grid, demand_clip_norm, next_clip_norm
from federation.privacy.sensitivity import Grid, clip_to_grid, decode

SIZE = 50
ADAPTIVE = ClippingArgs(adaptive=True)
VECTOR = np.linspace(-1.0, 1.0, SIZE)
LENGTH = float(np.linalg.norm(VECTOR))


def test_without_adaption_the_grid_is_that_of_the_clip_norm():
    assert clip_grid(0.7, SIZE, ClippingArgs()) == Grid(0.7, SIZE)


@pytest.mark.parametrize("quantile", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("fits", [True, False])
def test_the_bound_covers_vector_and_bit(quantile, fits):
    clipping = ClippingArgs(adaptive=True, quantile=quantile, bit_scale=0.3)
    grid = clip_grid(1.0, SIZE, clipping)
    assert grid.dimension == SIZE + 1
    assert grid.clip_norm == pytest.approx(math.sqrt(1 + (0.3 * max(quantile, 1 - quantile)) ** 2))
    longest = VECTOR / LENGTH if fits else 5 * VECTOR
    assert np.linalg.norm(append_clip_bit(longest, 1.0, clipping)) <= grid.clip_norm * (1 + 1e-12)


@pytest.mark.parametrize(("clip_norm", "bit"), [(2 * LENGTH, 1 - 0.3), (LENGTH / 2, -0.3)])
def test_the_bit_says_whether_the_vector_fitted(clip_norm, bit):
    appended = append_clip_bit(VECTOR, clip_norm, ClippingArgs(adaptive=True, quantile=0.3))
    assert appended[-1] == pytest.approx(0.2 * clip_norm * bit)
    np.testing.assert_allclose(appended[:-1], VECTOR * min(1, clip_norm / LENGTH))


def test_a_contributor_without_an_update_fits():
    assert append_clip_bit(np.zeros(SIZE), 1.0, ADAPTIVE)[-1] > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_sends_no_bit_either(value):
    broken = VECTOR.copy()
    broken[3] = value
    assert not append_clip_bit(broken, 1.0, ADAPTIVE).any()


@pytest.mark.parametrize("scale", [1e-320, 1e-9, 1.0, 1e6, 1e308])
def test_the_integer_bound_holds_with_the_bit(scale):
    grid = clip_grid(1.0, SIZE, ADAPTIVE)
    encoded = clip_to_grid(append_clip_bit(scale * VECTOR, 1.0, ADAPTIVE), grid, KeyStream(bytes(32)))
    assert sum(int(value) ** 2 for value in encoded) <= grid.bound_squared
    assert decode(encoded, grid)[-1] == pytest.approx(0.1 if scale <= 0.1 else -0.1, abs=grid.step)


@pytest.mark.parametrize(("share", "factor"), [(1.0, math.exp(-0.1)), (0.5, 1.0), (0.0, math.exp(0.1))])
def test_the_step_is_that_of_the_geometric_update(share, factor):
    bits = 40 * 0.2 * (share - 0.5)
    assert next_clip_norm(1.0, bits, 40, ADAPTIVE) == pytest.approx(factor)


def follow(step, quantile: float, rounds: int = 60) -> float:
    """Return the share of vectors no longer than S after some rounds without noise, from an S far too large."""
    clipping = ClippingArgs(adaptive=True, quantile=quantile)
    lengths = np.exp(np.linspace(-1.0, 1.0, 101))
    clip_norm = 9.0
    for _ in range(rounds):
        bits = sum(append_clip_bit(length * VECTOR / LENGTH, clip_norm, clipping)[-1] for length in lengths)
        clip_norm = step(clip_norm, bits, lengths.size, clipping)
    return float(np.mean(lengths <= clip_norm))


@pytest.mark.slow
@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.8])
def test_the_clip_norm_finds_the_quantile(quantile):
    assert abs(follow(next_clip_norm, quantile) - quantile) < 0.05


def with_the_wrong_sign(clip_norm: float, bits: float, contributors: float, clipping: ClippingArgs) -> float:
    return next_clip_norm(clip_norm, -bits, contributors, clipping)


def without_the_scale(clip_norm: float, bits: float, contributors: float, clipping: ClippingArgs) -> float:
    return next_clip_norm(clip_norm, bits * clipping.bit_scale / 50, contributors, clipping)


@pytest.mark.parametrize("fault", [with_the_wrong_sign, without_the_scale])
def test_the_check_sees_a_faulty_step(fault):
    assert abs(follow(fault, 0.5) - 0.5) > 0.05


@given(st.floats(-1e12, 1e12), st.floats(1e-3, 10.0))
def test_no_noise_moves_it_far_or_out_of_its_range(bits, clip_norm):
    moved = next_clip_norm(clip_norm, bits, 4.0, ADAPTIVE)
    assert 1e-3 <= moved <= 10.0
    assert abs(math.log(moved / clip_norm)) <= 0.4 + 1e-9


@pytest.mark.parametrize(("bits", "limit"), [(1e9, ADAPTIVE.smallest), (-1e9, ADAPTIVE.largest)])
def test_a_clip_norm_that_comes_to_an_end_of_its_range_stays_there_and_is_not_refused(bits, limit):
    clip_norm = 1.0
    for _ in range(200):
        clip_norm = next_clip_norm(clip_norm, bits, 8, ADAPTIVE)
        demand_clip_norm(clip_norm, ADAPTIVE)
    assert clip_norm == limit


@pytest.mark.parametrize("clip_norm", [math.nan, math.inf, 0.0, 1e-4, 10.1])
def test_a_clip_norm_out_of_its_range_is_refused(clip_norm):
    with pytest.raises(ValueError, match=r"within `--clipping.smallest`.*Got"):
        demand_clip_norm(clip_norm, ADAPTIVE)


def test_a_fixed_clip_norm_has_no_range():
    demand_clip_norm(1e-4, ClippingArgs())
