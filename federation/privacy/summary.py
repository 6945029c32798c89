"""What a private run says at its end: the facts of its card, and a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from federation.privacy.card import PrivacyFacts, stated
from federation.privacy.code_hash import hash_sources
from federation.privacy.composition import Epsilon
from federation.privacy.noise_calibration import smallest_population
from federation.privacy.promise import Promise
from federation.privacy.total_delta import total_delta

TARGET = 8.0
"""The epsilon for which the card says how many clients it would take."""


@dataclass(frozen=True)
class Spent:
    """What the ledger's releases have cost."""

    rounds: int
    coins_secret: Epsilon | None
    """None where coins are visible."""
    coins_known: Epsilon


def gather_facts(promise: Promise, spent: Spent, clip_norm: float, dimension: int, *, is_last: bool) -> PrivacyFacts:
    """Return what the card says.

    Args:
        promise: What the run sets out to do.
        spent: What it has cost.
        clip_norm: S.
        dimension: D, coordinates of one client's vector.
        is_last: Whether the run has ended. Then the least number of clients for `TARGET` is searched for, which takes
            seconds.

    Raises:
        ValueError: If delta does not cover what samplers and cryptography may fail with.
    """
    z, q, delta = promise.release.noise_multiplier, promise.release.sample_rate, promise.privacy.delta
    clients = promise.cohort.clients
    asked = is_last and spent.rounds > 0 and spent.coins_secret is not None
    return PrivacyFacts(
        cohort=promise.cohort,
        adversary=promise.security.adversary,
        clip_norm=clip_norm,
        dimension=dimension,
        noise_multiplier=z,
        sampling=promise.sampling,
        sample_rate=q,
        rounds=spent.rounds,
        delta=total_delta(delta, spent.rounds, clients, dimension),
        coins_secret=spent.coins_secret,
        coins_known=spent.coins_known,
        key_source=promise.privacy.key_source,
        code_hash=hash_sources(),
        simulation=promise.simulation,
        target_epsilon=TARGET,
        target_population=smallest_population(z, q, spent.rounds, delta, clients, TARGET) if asked else None,
    )


def conclude(facts: PrivacyFacts, card: Path) -> str:
    """Return the card in a few lines."""
    known, clients = stated(facts.coins_known), facts.cohort.clients
    figures = (
        f"{known}, coins known"
        if facts.coins_secret is None
        else (f"{stated(facts.coins_secret)}, coins secret, or {known}, coins known")
    )
    lines = [
        f"Privacy: {facts.rounds} release{'s' * (facts.rounds != 1)} with {clients} clients spent epsilon {figures}, "
        f"at delta {facts.delta.delta:g} (in all {facts.delta.total:.6g}), noise multiplier "
        f"{facts.noise_multiplier:.3g}, {facts.dimension:,} coordinates."
    ]
    if facts.target_population is not None:
        too_few = facts.target_population > clients
        start = f"{clients} clients cannot buy a small epsilon: the" if too_few else "The"
        least = facts.target_population
        lines.append(f"{start} same noise in the mean costs epsilon <= {TARGET:g} from {least} clients on.")
    if facts.key_source == "seeded":
        lines.append("The keys were seeded, so this run protects nobody.")
    where = "This was a simulation on one machine." if facts.simulation else "Devices kept ledgers of their own, too."
    return "\n".join([*lines, f"{where} The whole card: {card}"])
