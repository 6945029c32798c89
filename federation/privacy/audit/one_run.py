"""How much epsilon an attacker can prove from one run: a lower bound to hold against the claim."""

from __future__ import annotations

import math

import numpy as np

from federation.privacy.audit.canaries import Scores, hide_canaries
from federation.privacy.audit.distinguishing import DEVIATIONS, separation
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most

CONFIDENCE = 0.95
CANARIES = 256
GUESSED_SHARE = 0.5
"""Of the canaries; the auditor abstains on those with middling scores. Fixed beforehand, so no choice is corrected."""
LARGEST_EPSILON = 50.0


def check_one_run(system: System, rounds: int = 1) -> Verdict:
    """Prove a lower bound on epsilon from one run with canaries; it must not exceed what is claimed."""
    bound = lower_bound(hide_canaries(system, CANARIES, rounds), system.terms.delta)
    detail = f"{CANARIES} canaries, {rounds} round{'s' * (rounds > 1)}, {CONFIDENCE:.0%} confidence"
    return at_most("no attacker proves more epsilon than is claimed", bound, system.terms.claim(rounds), detail)


def check_one_shot(system: System) -> Verdict:
    """Estimate epsilon from the mean scores of canaries that were in and out, as if scores were normal numbers.

    Andrew et al. 2024 (arXiv 2302.03098), against canaries that were out in place of a normal law. An estimate, less
    its error; no bound.
    """
    seen = hide_canaries(system, CANARIES, rounds=1)
    mu, error = separation(seen.scores[seen.present], seen.scores[~seen.present])
    estimate = gaussian_epsilon(mu - DEVIATIONS * error, system.terms.delta)
    detail = f"mu = {mu:.3g} +- {error:.2g}"
    return at_most("canaries' mean scores fit the claim", estimate, system.terms.claim(), detail)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the least epsilon of two unit normal laws mu apart (Balle and Wang 2018, theorem 5)."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    def excess(epsilon: float) -> float:
        second = math.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu))
        return norm.cdf(mu / 2 - epsilon / mu) - second - delta

    if mu <= 0 or excess(0.0) <= 0:
        return 0.0
    largest = mu * mu / 2 + mu * math.sqrt(2 * math.log(1 / delta))
    return brentq(excess, 0.0, largest)


def lower_bound(seen: Scores, delta: float, confidence: float = CONFIDENCE) -> float:
    """Return the epsilon that the guesses disprove: no (epsilon, delta) mechanism is guessed so well by chance.

    The bound is wrong with probability at most 1 - confidence, over coins and mechanism; where it is 0, it says
    nothing.
    """
    guesses, correct = guess(seen)
    low, high = 0.0, LARGEST_EPSILON
    if p_value(guesses, correct, seen.scores.size, low, delta) > 1 - confidence:
        return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        is_disproved = p_value(guesses, correct, seen.scores.size, middle, delta) <= 1 - confidence
        low, high = (middle, high) if is_disproved else (low, middle)
    return low


def guess(seen: Scores) -> tuple[int, int]:
    """Return how many canaries are guessed and how many rightly: the highest scores as in, the lowest as out."""
    half = round(seen.scores.size * GUESSED_SHARE / 2)
    # Ties are broken by position, which coins do not know.
    order = np.argsort(seen.scores, kind="stable")
    correct = np.count_nonzero(seen.present[order[-half:]]) + np.count_nonzero(~seen.present[order[:half]])
    return 2 * half, int(correct)


def p_value(guesses: int, correct: int, canaries: int, epsilon: float, delta: float) -> float:
    """Return the chance that a mechanism with (epsilon, delta) is guessed this well or better.

    Steinke, Nasr and Jagielski 2023 (arXiv 2305.08846, theorem 5.2): with W ~ Binomial(guesses, e^eps / (1 + e^eps)),
    P(W >= v) + 2 m delta max_i P(v - i <= W < v) / i.
    """
    from scipy.stats import binom

    luck = binom(guesses, 1 / (1 + math.exp(-epsilon)))
    steps = np.arange(1, correct + 1)
    below = luck.cdf(correct - 1) - luck.cdf(correct - 1 - steps)
    slack = float(np.max(below / steps, initial=0.0))
    return min(1.0, float(luck.sf(correct - 1)) + 2 * canaries * delta * slack)
