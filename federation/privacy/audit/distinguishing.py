"""The game behind every epsilon: was this client's data in the round, or nothing?"""

from __future__ import annotations

import math

import numpy as np

from federation.privacy.audit.draws import draw_directions
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most

DEVIATIONS = 3.3
"""One-sided 99.95 %."""
SHOUT = 100.0
"""Clip norms that the victim asks for."""
GAME_DIMENSION = 64
"""Coordinates of the game; the best statistic is one projection, so more only cost time."""


def check_distinguishing(system: System, trials: int = 150) -> Verdict:
    """Play the game with the best statistic there is, the projection on what the victim would send.

    Its mean moves by mu standard deviations when the victim takes part; a mechanism with noise multiplier z allows
    1 / z (Dong, Roth and Su 2022, Gaussian differential privacy). Coins are known: the victim is always in.
    """
    game = system.under(dimension=min(GAME_DIMENSION, system.terms.dimension), sample_rate=1.0)
    terms, victim = game.terms, game.terms.honest[-1]
    direction = draw_directions(game.keys.stream("auditor", 0, 0, "game"), 1, terms.dimension)[0]
    scores = np.empty(trials)
    for trial in range(trials):
        vector = SHOUT * terms.clip_norm * direction * (trial % 2)
        transcript = game.run_round(trial, {victim: vector}, masked=False)
        scores[trial] = transcript.heard_by(terms.colluders) @ direction
    mu, error = separation(scores[1::2], scores[::2])
    detail = f"{trials} trials, mu = {mu:.3g} +- {error:.2g}, one round"
    least, allowed = mu - DEVIATIONS * error, 1 / terms.noise_multiplier
    return at_most("one client's data cannot be told from none", least, allowed, detail)


def separation(present: np.ndarray, absent: np.ndarray) -> tuple[float, float]:
    """Return how many standard deviations apart two samples are, and the standard error of that."""
    spread = math.sqrt((present.var(ddof=1) + absent.var(ddof=1)) / 2)
    gap = float(present.mean() - absent.mean())
    mu = gap / max(spread, 1e-12)
    counts = present.size, absent.size
    return mu, math.sqrt(1 / counts[0] + 1 / counts[1] + mu * mu / (2 * (sum(counts) - 2)))
