"""Canaries: clients of the auditor's own, each with a fair coin that decides whether its data is in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federation.privacy.audit.draws import draw_coins, draw_directions
from federation.privacy.audit.system import System

SHOUT = 10.0
"""Clip norms that a canary asks for: one that is not clipped is heard at once."""
CANARY_DIMENSION = 1_500
"""Canaries are random directions; at this many coordinates they hardly disturb each other."""


@dataclass(frozen=True)
class Scores:
    """What an adversary makes of the releases of one audit: for each canary a score, high if it looks present."""

    present: np.ndarray
    """bool, shape (m,)."""
    scores: np.ndarray
    """float64, shape (m,), in units of the clip norm; about the number of rounds a canary's data was in."""


def hide_canaries(system: System, canaries: int, rounds: int) -> Scores:
    """Run federations until this many canaries have been in or out of all rounds of one, and score them.

    The adversary is the one of the guarantee: it sees every release, its colluders tell it their noise, and it knows
    each canary's vector, but no coin. It also saw a round in which nobody had data, and subtracts what that or a
    colluder's noise predicts of a release: nothing, unless noise repeats.
    """
    small = system.under(dimension=min(CANARY_DIMENSION, system.terms.dimension))
    stream = small.keys.stream("auditor", 0, 0, "canaries")
    parts = []
    found = 0
    honest = small.terms.honest
    while found < canaries:
        directions = draw_directions(stream, len(honest), small.terms.dimension)
        present = draw_coins(stream, len(honest))
        asked = SHOUT * small.terms.clip_norm * directions * present[:, None]
        first = len(parts) * (rounds + 1)
        heard = _listen(small, dict(zip(honest, asked, strict=True)), first, rounds)
        parts.append((present, directions @ heard))
        found += len(honest)
    present, scores = (np.concatenate(column)[:canaries] for column in zip(*parts, strict=True))
    return Scores(present, scores)


def _listen(system: System, vectors: dict[str, np.ndarray], first: int, rounds: int) -> np.ndarray:
    """Return the sum of all releases with canaries, less all that the adversary can predict, in clip norms."""
    terms = system.terms
    idle = system.run_round(first, {}, masked=False).total.astype(np.float64)
    heard = np.zeros(terms.dimension)
    for round in range(first + 1, first + 1 + rounds):
        transcript = system.run_round(round, vectors, masked=False)
        release = transcript.heard_by(terms.colluders)
        known = np.array([idle, *(transcript.noise[client] for client in terms.colluders)], np.float64).T
        heard += release - known @ np.linalg.lstsq(known, release, rcond=None)[0]
    return heard * terms.grid.step / terms.clip_norm
