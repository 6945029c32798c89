"""Gradient inversion: what an update tells of the example it was trained on, with and without the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from federation.key_stream import KeyStream
from federation.privacy.audit.draws import draw_directions, draw_normals
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_least, at_most

Trained = Literal["naive", "freeze-A"]
"""naive: LoRA trains A and B, and B is no longer zero; freeze-A: it trains B only."""
INPUTS, OUTPUTS, RANK = 128, 16, 128
EXAMPLES = 8
RECOVERED, HIDDEN = 0.95, 0.2
"""Cosines; a random guess has about 0.8 / sqrt(RANK) = 0.07."""


@dataclass(frozen=True)
class Leak:
    """A client's update and what an attacker would like to read in it."""

    update: np.ndarray
    """Of the matrix that the attack reads, shape (rows, columns)."""
    secret: np.ndarray
    """x for naive LoRA, A x for freeze-A, where no more of x is in the update; shape (columns,)."""


def check_inversion(system: System, trained: Trained) -> Verdict:
    """Attack the released sum of a round in which one client trained, on one example; the others have no data."""
    game = system.under(dimension=(RANK * INPUTS if trained == "naive" else OUTPUTS * RANK) + 1, sample_rate=1.0)
    terms, victim = game.terms, game.terms.honest[-1]
    stream = game.keys.stream("auditor", 0, 0, f"inversion {trained}")
    found = []
    for round in range(EXAMPLES):
        leak = draw_leak(stream, trained)
        vector = np.append(leak.update.ravel() / np.linalg.norm(leak.update), 0.0) * terms.clip_norm
        total = game.run_round(round, {victim: vector}, masked=False).total
        found.append(similarity(invert(total[:-1].reshape(leak.update.shape)), leak.secret))
    return at_most(f"{trained} LoRA: the sum shows no example", np.mean(found), HIDDEN, f"cosine, {EXAMPLES} examples")


def check_inversion_control(system: System, trained: Trained) -> Verdict:
    """Attack the bare update: an attack that fails even there would prove nothing."""
    stream = system.keys.stream("auditor", 0, 0, f"inversion {trained}")
    leaks = [draw_leak(stream, trained) for _ in range(EXAMPLES)]
    least = min(similarity(invert(leak.update), leak.secret) for leak in leaks)
    return at_least(f"control: {trained} LoRA, a bare update shows its example", least, RECOVERED, "least cosine")


def draw_leak(stream: KeyStream, trained: Trained) -> Leak:
    """Train y = (W + B A) x for one gradient step on one example and return the update of the attacked matrix.

    With the residual g = y - t of the squared error, the gradient of A is B^T g x^T and that of B is g (A x)^T.
    """
    x, residual = draw_directions(stream, 1, INPUTS)[0], draw_directions(stream, 1, OUTPUTS)[0]
    a, b = draw_normals(stream, RANK, INPUTS), draw_normals(stream, OUTPUTS, RANK)
    if trained == "naive":
        return Leak(-np.outer(b.T @ residual, x), x)
    return Leak(-np.outer(residual, a @ x), a @ x)


def invert(update: np.ndarray) -> np.ndarray:
    """Return the direction that an update, shape (rows, columns), is most made of: its first right singular vector."""
    return np.linalg.svd(update.astype(np.float64), full_matrices=False)[2][0]


def similarity(guess: np.ndarray, secret: np.ndarray) -> float:
    """Return the cosine of two vectors without its sign, which no attack on a product of two vectors can know."""
    return float(abs(guess @ secret) / max(1e-300, np.linalg.norm(guess) * np.linalg.norm(secret)))
