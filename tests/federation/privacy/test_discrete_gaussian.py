"""T12: both samplers follow the exact distribution; a rounded normal and a wrong variance do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare, norm

from federation.key_stream import KeyStream
from federation.privacy import discrete_gaussian, exact_gaussian
from federation.privacy.discrete_gaussian import TABLE_BITS, DiscreteGaussian
from federation.privacy.exact_gaussian import sample_exact

DRAWS = 60_000


def stream(index: int = 0) -> KeyStream:
    return KeyStream(index.to_bytes(32, "big"))


def p_value(draws: np.ndarray, variance: int, cells: int = 100) -> float:
    """Return chi-square's p for draws against N_Z(0, variance), in about equally likely cells."""
    if variance > 10**10:  # there the normal distribution is the same to within 10^-10 in each cell
        cell = (norm.cdf(draws / math.sqrt(variance)) * cells).astype(int)
        return chisquare(np.bincount(cell, minlength=cells)).pvalue
    reach = 10 * (math.isqrt(variance) + 1)
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * variance))
    probabilities = weights / weights.sum()
    cell = np.minimum((probabilities.cumsum() * cells).astype(int), cells - 1)
    expected = np.bincount(cell, probabilities, cells)
    assert np.abs(draws).max() <= reach
    observed = np.bincount(cell[draws + reach], minlength=cells)
    used = expected * draws.size > 5
    observed, expected = [np.r_[x[used], x[~used].sum()] for x in (observed, expected * draws.size)]
    filled = expected > 0
    return chisquare(observed[filled], expected[filled]).pvalue


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [1, 5, 512, 5_000, 20_000])
def test_table_follows_the_exact_distribution(deviation):
    assert p_value(DiscreteGaussian(deviation**2).sample(DRAWS, stream()), deviation**2) > 1e-4


@pytest.mark.parametrize("deviation", [1, 5, 512, 5_000, 50_000, 10**6])
def test_exact_sampler_follows_the_exact_distribution(deviation):
    assert p_value(sample_exact(deviation**2, DRAWS, stream()), deviation**2) > 1e-4


def test_variances_need_not_be_squares():
    assert p_value(DiscreteGaussian(23).sample(DRAWS, stream()), 23) > 1e-4
    assert p_value(sample_exact(23, DRAWS, stream()), 23) > 1e-4


def test_exact_sampler_has_the_variance_asked_for_when_it_is_huge():
    draws = sample_exact(10**12, DRAWS, stream())
    assert abs(draws.var() / 1e12 - 1) < 5 * math.sqrt(2 / DRAWS)
    assert abs(draws.mean()) < 5e6 / math.sqrt(DRAWS)


def rounded_normal(variance: int) -> np.ndarray:
    return np.rint(np.random.default_rng(0).normal(0, math.sqrt(variance), DRAWS)).astype(int)


def five_percent_off(variance: int) -> np.ndarray:
    return DiscreteGaussian(round(1.1 * variance)).sample(DRAWS, stream())


def never_zero_twice(variance: int) -> np.ndarray:
    # The classical slip of a signed Laplace proposal: zero counted for both signs.
    draws = DiscreteGaussian(variance).sample(2 * DRAWS, stream())
    return np.r_[draws[draws == 0], draws][:DRAWS]


@pytest.mark.parametrize(
    ("fault", "variance"),
    [(rounded_normal, 1), (five_percent_off, 512**2), (five_percent_off, 10**12), (never_zero_twice, 25)],
)
def test_the_check_sees_wrong_distributions(fault: Callable, variance: int):
    assert p_value(fault(variance), variance) < 1e-4


@pytest.mark.parametrize("variance", [1, 25, 1000])
def test_table_holds_the_exact_probabilities(variance):
    table = discrete_gaussian._cumulative(variance)
    with localcontext() as context:
        context.prec = 90
        weights = [(Decimal(-k * k) / (2 * variance)).exp() for k in range(40 * math.isqrt(variance))]
        total = 2 * sum(weights) - 1
        for k in (0, 1, math.isqrt(variance), 5 * math.isqrt(variance)):
            exact = (2 * sum(weights[: k + 1]) - 1) / total
            assert abs(Decimal(table[k]) / 2**TABLE_BITS - exact) < Decimal(2) ** -135
    assert table == sorted(table)
    assert table[-1] <= 2**TABLE_BITS


class Scripted(KeyStream):
    """A stream that says what it is told."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(bytes(32))
        self._answers = list(answers)

    def fill(self, out: np.ndarray) -> None:
        out[:] = np.frombuffer(self._answers.pop(0), out.dtype)


@pytest.mark.parametrize(("offset", "expected"), [(-1, 3), (0, 4), (1, 4)])
@pytest.mark.parametrize("sign", [0, 1])
def test_more_bits_decide_between_two_neighbours(offset, expected, sign):
    sampler = DiscreteGaussian(25)
    draw = discrete_gaussian._cumulative(25)[3] + offset
    head, tail = draw >> 128, draw & (2**128 - 1)
    script = Scripted(np.uint64(head << 1 | sign).tobytes(), tail.to_bytes(16, "big"))
    assert sampler.sample(1, script)[0] == (-expected if sign else expected)


def test_the_largest_draw_stays_in_the_table():
    sampler = DiscreteGaussian(25)
    script = Scripted(np.uint64(2**64 - 2).tobytes(), b"\xff" * 16)
    assert sampler.sample(1, script)[0] == 14 * 6


@pytest.mark.slow
def test_exact_coins_agree_when_floats_may_not_decide(monkeypatch):
    # With all draws in doubt, each coin is tossed again by its decimal expansion: the same distribution.
    monkeypatch.setattr(exact_gaussian, "_DOUBT", 2.0)
    assert p_value(sample_exact(25, 1_000, stream()), 25, cells=20) > 1e-4


@pytest.mark.parametrize("deviation", [5, 512, 5_000, 50_000, 10**6])
def test_floats_are_far_closer_to_the_truth_than_the_doubt_they_are_given(monkeypatch, deviation):
    toss, errors = exact_gaussian._bernoulli_exp, []

    def watched(exponents, exponent, own):
        with localcontext() as context:
            context.prec = 60
            for index in range(0, exponents.size, max(1, exponents.size // 50)):
                errors.append(abs(float((-exponent(index)).exp() - Decimal(math.exp(-exponents[index])))))
        return toss(exponents, exponent, own)

    monkeypatch.setattr(exact_gaussian, "_bernoulli_exp", watched)
    sample_exact(deviation**2, 1_000, stream())
    assert len(errors) > 100
    assert max(errors) < exact_gaussian._DOUBT / 100


def p_value_of_two(one: np.ndarray, other: np.ndarray, cells: int = 50) -> float:
    """Return chi-square's p that two samples come from one distribution."""
    edges = np.quantile(np.r_[one, other], np.linspace(0, 1, cells + 1)[1:-1])
    counts = [np.bincount(np.searchsorted(edges, sample), minlength=cells) for sample in (one, other)]
    return chi2_contingency(np.array(counts)).pvalue


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [512, 3_200])
def test_a_third_party_draws_alike(deviation):
    dp = pytest.importorskip("opendp.prelude", reason="OpenDP is an optional cross-check: pip install opendp")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i32")), dp.l2_distance(T="i32")
    theirs = np.array(dp.m.make_gaussian(*space, scale=float(deviation))([0] * 20_000))
    assert p_value_of_two(DiscreteGaussian(deviation**2).sample(20_000, stream()), theirs) > 1e-4
    assert p_value_of_two(sample_exact(deviation**2, 20_000, stream()), theirs) > 1e-4
    too_little = DiscreteGaussian(round(0.8 * deviation**2)).sample(20_000, stream())
    assert p_value_of_two(too_little, theirs) < 1e-4


def test_calls_and_streams_are_independent():
    sampler, kept = DiscreteGaussian(512**2), stream(1)
    draws = [sampler.sample(20_000, kept), sampler.sample(20_000, kept), sampler.sample(20_000, stream(2))]
    correlations = np.corrcoef(draws)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(20_000)
    np.testing.assert_array_equal(draws[2], sampler.sample(20_000, stream(2)))


def test_a_variance_without_table_falls_to_the_exact_sampler():
    variance = discrete_gaussian.MAX_TABLE_VARIANCE + 1
    expected = sample_exact(variance, 100, stream())
    np.testing.assert_array_equal(DiscreteGaussian(variance).sample(100, stream()), expected)


@pytest.mark.parametrize("variance", [0, -1, 2.5])
def test_impossible_variances_are_refused(variance):
    with pytest.raises(ValueError, match="positive integer"):
        DiscreteGaussian(variance)
