"""The noise in the sum is as large as promised, of the promised shape, and nobody's is anybody else's."""

from __future__ import annotations

import math

import numpy as np

from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_least, at_most

DEVIATIONS = 5.0
"""Standard errors that a figure may be off; by chance that happens once in millions."""


def check_least_noise(system: System, rounds: int = 2) -> Verdict:
    """Measure the variance of a sum of zero vectors where as many clients drop out and collude as is allowed for."""
    needed = system.terms.noise_multiplier**2 * system.terms.grid.bound_squared
    fresh = system.under()
    left = [fresh.run_round(round, {}).heard_by(fresh.terms.colluders) for round in range(rounds)]
    ratio = min(float(np.mean(total * total)) for total in left) / needed
    error = DEVIATIONS * math.sqrt(2 / system.terms.dimension)
    detail = f"{len(system.terms.survivors)} survivors of {system.terms.clients}, {len(system.terms.colluders)} collude"
    return at_least("enough noise without dropouts and colluders", ratio, 1 - error, f"{detail}; variance / (z S)^2")


def check_most_noise(system: System) -> Verdict:
    """Measure the variance of a sum of zero vectors from everybody: more than planned protects nobody better."""
    terms = system.terms
    planned = terms.noise_multiplier**2 * terms.grid.bound_squared * terms.clients / len(terms.honest)
    total = system.run_round(0, {}, drops={}, masked=False).total.astype(np.float64)
    ratio, error = float(np.mean(total * total)) / planned, DEVIATIONS * math.sqrt(2 / terms.dimension)
    return at_most("no more noise than planned", ratio, 1 + error, "everybody's variance over the planned one")


def check_independence(system: System, clients: int = 4) -> Verdict:
    """Correlate the noise of clients, and of one client's rounds: whoever knows one must not know another."""
    transcripts = [system.run_round(round, {}, masked=False) for round in range(2)]
    names = system.terms.survivors[-clients:]
    draws = np.array([transcript.noise[client] for transcript in transcripts for client in names], np.float64)
    lengths = np.maximum(np.linalg.norm(draws, axis=1), 1.0)
    correlations = (draws @ draws.T) / np.outer(lengths, lengths) - np.diag((lengths > 1.0).astype(float))
    bound = DEVIATIONS / math.sqrt(system.terms.dimension)
    return at_most("noise of clients and rounds is independent", np.abs(correlations).max(), bound, "correlation")


def check_distribution(system: System, draws: int = 200_000) -> Verdict:
    """Compare one client's noise with the discrete Gaussian's own probabilities (chi-square, up to 200 bins)."""
    from scipy.stats import chisquare

    deviation = math.sqrt(system.plan.variance)
    rounds = math.ceil(draws / system.terms.dimension)
    noise = np.concatenate([system.draw_noise(system.terms.names[0], round) for round in range(rounds)])
    values = np.arange(-math.ceil(9 * deviation), math.ceil(9 * deviation) + 1)
    weights = np.exp(-(values.astype(np.float64) ** 2) / (2 * system.plan.variance))
    cumulative = np.cumsum(weights) / weights.sum()
    edges = np.unique(np.searchsorted(cumulative, np.linspace(0, 1, 201)[1:-1]))
    expected = np.diff(np.r_[0.0, cumulative[edges], 1.0]) * noise.size
    observed = np.bincount(np.searchsorted(values[edges], noise), minlength=expected.size)
    return at_least("noise follows the discrete Gaussian", chisquare(observed, expected).pvalue, 1e-6, "chi-square p")
