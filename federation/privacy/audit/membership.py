"""Membership inference: do the released adapters fit a client's example better because the client took part?"""

from __future__ import annotations

import math

import numpy as np

from federation.key_stream import KeyStream
from federation.privacy.audit.draws import draw_directions
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_least, at_most

OUTPUTS, RANK = 24, 40
"""Shape of the adapter's B; the model is y = (W + B A) x with W and A frozen."""
MEMBERS = 200
"""And as many who did not take part."""
DEVIATIONS = 3.3


def check_membership(system: System) -> Verdict:
    """Attack the adapter that the pipeline releases by its losses; coins are known.

    A mechanism that hides a client like a Gaussian with separation mu lets no attacker order members and others with
    an area under the curve above Phi(mu / sqrt(2)); here mu = 1 / z for one round.
    """
    area = attack_area(system, protected=True)
    allowed = (1 + math.erf(1 / system.terms.noise_multiplier / 2)) / 2
    bound = allowed + DEVIATIONS / math.sqrt(6 * MEMBERS)
    return at_most("members cannot be told by the adapter", area, bound, f"{MEMBERS} members; 0.5 is a guess, AUC")


def check_membership_control(system: System) -> Verdict:
    """Attack the plain mean of the same updates: an attack that fails even there would prove nothing."""
    return at_least("control: without the pipeline members are told", attack_area(system, protected=False), 0.9, "AUC")


def attack_area(system: System, protected: bool) -> float:
    """Return the area under the ROC curve of the loss attack, over cohorts that each release one adapter."""
    game = system.under(dimension=OUTPUTS * RANK + 1, sample_rate=1.0)
    stream = game.keys.stream("auditor", 0, 0, "members")
    honest = game.terms.honest
    gains: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for round in range(math.ceil(MEMBERS / len(honest))):
        members, others = (_draw_examples(stream, len(honest)) for _ in range(2))
        adapter = _release(game, round, dict(zip(honest, members, strict=True)), protected)
        for examples, gain in zip((members, others), gains, strict=True):
            gain.append(_gains(adapter, examples))
    inside, outside = (np.concatenate(gain)[:MEMBERS] for gain in gains)
    return float(np.mean(inside[:, None] > outside) + np.mean(inside[:, None] == outside) / 2)


def _draw_examples(stream: KeyStream, count: int) -> np.ndarray:
    """Return one example each: the rank-1 step its loss asks for, residual times A x, shape (count, OUTPUTS, RANK)."""
    residuals, features = draw_directions(stream, count, OUTPUTS), draw_directions(stream, count, RANK)
    return residuals[:, :, None] * features[:, None, :]


def _release(game: System, round: int, steps: dict[str, np.ndarray], protected: bool) -> np.ndarray:
    """Return the released B: the mean of the clients' steps, through the pipeline or bare, shape (OUTPUTS, RANK)."""
    if not protected:
        return np.mean(list(steps.values()), axis=0)
    vectors = {client: game.terms.clip_norm * np.append(step, 0.0) for client, step in steps.items()}
    transcript = game.run_round(round, vectors, masked=False)
    scale = game.terms.grid.step / game.terms.clip_norm / len(steps)
    return transcript.total[:-1].reshape(OUTPUTS, RANK) * scale


def _gains(adapter: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Return by how much the adapter lowers each example's squared error, (|e|^2 - |e - B A x|^2) / 2, shape (count,).

    An example is e (A x)^T with both of length 1, so e^T B A x is its scalar product with B, and B A x the product of
    B with its right factor.
    """
    right = np.linalg.svd(examples, full_matrices=False)[2][:, 0]
    outputs = right @ adapter.T
    return np.tensordot(examples, adapter, axes=2) - np.sum(outputs**2, axis=1) / 2
