"""The lower bound is the theorem's, it holds on the true system, and it exceeds the claim of every broken one."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import binom, norm

from federation.privacy.audit.battery import NOISE_FAULTS, powerful
from federation.privacy.audit.canaries import Scores, hide_canaries
from federation.privacy.audit.faults import NoClip
from federation.privacy.audit.one_run import CANARIES, check_one_run, gaussian_epsilon, guess, lower_bound, p_value
from federation.privacy.audit.system import System
from federation.privacy.noise_calibration import solve_noise_multiplier
from tests.federation.fuzz import cases
from tests.federation.privacy.audit.systems import make_system

SEEDS = 20


def scores_of(correct: int, guesses: int) -> Scores:
    """Return scores whose guesses are right `correct` times; half of the canaries are guessed."""
    present = np.zeros(2 * guesses, bool)
    present[-guesses // 2 :] = True
    present[-(guesses - correct) :] ^= guesses > correct
    return Scores(present, np.arange(2 * guesses, dtype=float))


def test_without_delta_the_p_value_is_a_binomial_tail():
    for correct in (0, 40, 64, 90, 128):
        expected = binom.sf(correct - 1, 128, math.e / (1 + math.e))
        assert p_value(128, correct, 256, 1.0, 0.0) == pytest.approx(expected)


def test_with_delta_the_p_value_is_the_theorems():
    guesses, correct, canaries, epsilon, delta = 20, 15, 40, 0.8, 1e-3
    law = binom(guesses, 1 / (1 + math.exp(-epsilon)))
    shares = [sum(law.pmf(w) for w in range(correct - i, correct)) / i for i in range(1, correct + 1)]
    expected = law.sf(correct - 1) + 2 * canaries * delta * max(shares)
    assert p_value(guesses, correct, canaries, epsilon, delta) == pytest.approx(expected)


@pytest.mark.parametrize(("correct", "at_least", "at_most"), [(64, 0.0, 0.0), (96, 0.6, 1.1), (128, 3.6, 3.8)])
def test_more_right_guesses_prove_more(correct, at_least, at_most):
    assert at_least <= lower_bound(scores_of(correct, 128), delta=1e-6) <= at_most


def test_the_bound_disproves_itself_and_nothing_more():
    bound = lower_bound(scores_of(110, 128), delta=1e-6)
    assert p_value(128, 110, 256, bound, 1e-6) <= 0.05 < p_value(128, 110, 256, bound + 0.01, 1e-6)


@pytest.mark.slow
def test_randomised_response_is_never_overstated():
    """Coins told truly with probability e / (1 + e) are (1, 0)-private: at most one in twenty bounds may exceed 1."""
    rng = np.random.default_rng(0)
    exceed = 0
    for _ in range(400):
        present = rng.random(CANARIES) < 0.5
        told = present ^ (rng.random(CANARIES) > math.e / (1 + math.e))
        guesses, correct = guess(Scores(present, told + rng.random(CANARIES) / 2))
        exceed += p_value(guesses, correct, CANARIES, 1.0, 0.0) <= 0.05
    assert 0 < exceed <= 400 * 0.05 + 4 * math.sqrt(400 * 0.05)


@pytest.mark.parametrize("mu", [0.25, 0.5, 2.0])
def test_the_epsilon_of_two_normal_laws_has_their_delta(mu):
    epsilon = gaussian_epsilon(mu, 1e-5)
    excess = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert excess == pytest.approx(1e-5, rel=1e-6)
    assert make_system(noise_multiplier=1 / mu, sample_rate=1.0).terms.claim() == pytest.approx(epsilon, abs=0.02)


def test_canaries_are_heard_in_units_of_the_clip_norm():
    seen = hide_canaries(make_system(noise_multiplier=0.05, sample_rate=1.0, clip_norm=7.0), 60, rounds=3)
    assert seen.scores[seen.present].mean() == pytest.approx(3, abs=0.2)
    assert seen.scores[~seen.present].mean() == pytest.approx(0, abs=0.2)


@lru_cache
def claim_of_two() -> float:
    return solve_noise_multiplier(2.0, 1e-5, sample_rate=1.0, rounds=1)


def exceedances(kind: type[System], seeds: range) -> int:
    """Return how often the bound exceeds a claim of at most 2."""
    verdicts = [
        check_one_run(make_system(kind, seed, clients=32, noise_multiplier=claim_of_two(), sample_rate=1.0))
        for seed in seeds
    ]
    assert all(verdict.bound <= 2 for verdict in verdicts)
    return sum(not verdict.passed for verdict in verdicts)


@pytest.mark.slow
def test_at_most_three_of_twenty_bounds_exceed_the_claim_of_the_true_system():
    seeds = cases(SEEDS)
    assert exceedances(System, seeds) <= 3 / SEEDS * len(seeds)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*NOISE_FAULTS, NoClip], ids=lambda kind: kind.__name__)
def test_at_least_nineteen_of_twenty_bounds_exceed_the_claim_of_a_fault(kind):
    seeds = cases(SEEDS)
    assert exceedances(kind, seeds) >= 19 / SEEDS * len(seeds)


@pytest.mark.slow
def test_a_large_claim_proves_nothing_and_is_not_relied_on():
    """Without any noise, at a claim of 10, the one-run audit is silent: so attacks raise the noise first."""
    loud = make_system(NOISE_FAULTS[0], noise_multiplier=0.5, sample_rate=1.0)
    assert check_one_run(loud).passed
    assert not check_one_run(powerful(loud)).passed
