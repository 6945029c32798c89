"""The system under audit: one round from the clients' vectors to the released sum, made of the product's own parts.

Every check asks a `System`; a fault is a `System` with one part replaced (`faults`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from federation.key_source import KeySource
from federation.privacy.accountant import Release
from federation.privacy.audit.exchange import Parties
from federation.privacy.audit.terms import RoundTerms
from federation.privacy.cohort_counts import provision
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.ledger import Ledger
from federation.privacy.noise_calibration import NoisePlan, plan_noise
from federation.privacy.sensitivity import clip_to_grid
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.session import SessionConfig
from federation.secure_aggregation.stages import Stage

VECTOR = Stage.MASK_INPUT.name
"""The one kind of message that may depend on a client's data."""


@dataclass
class Transcript:
    """One round as it happened; an adversary sees `messages`, `total` and what its colluders know."""

    total: np.ndarray
    """The unmasked sum on the grid, int64, shape (D,)."""
    encoded: dict[str, np.ndarray]
    """What the vector of each client in the sum became on the grid, before noise; stays on the device."""
    noise: dict[str, np.ndarray]
    """The noise each of them added; the colluders tell theirs."""
    messages: dict[str, dict[str, bytes]]
    """All that left each client, by kind; empty where the round was not masked."""
    charged: Release | None
    """What the ledger was told."""

    def heard_by(self, colluders: tuple[str, ...]) -> np.ndarray:
        """Return what is left of the sum for whoever knows these clients' noise, float64, shape (D,)."""
        return (self.total - sum(self.noise[client] for client in colluders)).astype(np.float64)


class System:
    """A round as the product runs it, without training: coin, clip, noise, mask, sum, unmask.

    Args:
        terms: What the round promises.
        keys: Source of all keys, coins and noise; seeded ones make an audit that can be repeated.
    """

    client_type: type[SecureClient] = SecureClient

    def __init__(self, terms: RoundTerms, keys: KeySource) -> None:
        self.terms, self.keys = terms, keys

    def under(self, **changes: object) -> System:
        """Return the system anew, with the same fault if it has one, under other terms; rounds start from 0 again."""
        return type(self)(replace(self.terms, **changes), self.keys)

    @cached_property
    def plan(self) -> NoisePlan:
        """Return how the noise is split over the cohort."""
        cohort = provision(self.terms.clients, self.terms.colluding_share, self.terms.dropout_share)
        return plan_noise(self.terms.noise_multiplier, self.terms.grid, cohort)

    @cached_property
    def sampler(self) -> DiscreteGaussian:
        """Return the sampler of one client's noise."""
        return DiscreteGaussian(self.plan.variance)

    @property
    def session_config(self) -> SessionConfig:
        """Return the numbers of the secure aggregation."""
        cohort = provision(self.terms.clients, self.terms.colluding_share, self.terms.dropout_share)
        digest = hashlib.sha256(b"audit").digest()
        counts = (cohort.clients, cohort.colluders, cohort.honest)
        return SessionConfig.plan(self.terms.dimension, *counts, adversary="active", digest=digest)

    @cached_property
    def parties(self) -> Parties:
        """Return the clients of the secure aggregation, as they live through all rounds."""
        return Parties(self.terms.names, self.session_config, self.mask_keys, self.client_type)

    @property
    def mask_keys(self) -> KeySource:
        """Return the source of the secrets of the secure aggregation."""
        return self.keys

    def contributes(self, client: str, round: int) -> bool:
        """Toss the secret coin that decides about a client's data."""
        return self.keys.stream(client, round, 0, "coin").bernoulli(self.terms.sample_rate)

    def encode(self, client: str, round: int, vector: np.ndarray) -> np.ndarray:
        """Return a vector, clipped and rounded to the grid, int64."""
        stream = self.keys.stream(client, round, 0, "rounding")
        return clip_to_grid(vector, self.terms.grid, stream)

    def draw_noise(self, client: str, round: int) -> np.ndarray:
        """Return a client's share of the noise, int64."""
        return self.sampler.sample(self.terms.dimension, self.keys.stream(client, round, 0, "noise"))

    def say_more(self, client: str, vector: np.ndarray | None) -> dict[str, bytes]:
        """Return what a client sends besides the protocol's five messages: nothing."""
        return {}

    def charge(self, round: int) -> Release | None:
        """Return what is charged for a round."""
        return Release(self.terms.noise_multiplier, self.terms.sample_rate)

    def open_ledger(self, path: Path, head: str | None) -> Ledger:
        """Open the ledger, given the head that a checkpoint remembers."""
        return Ledger(path, head)

    def prepare(self, client: str, round: int, vector: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return a client's integers and its noise; where it has no data in the round, or its training failed, zeros.

        Nothing is left out for such a client: the number, size and time of its messages must not tell.
        """
        is_in = self.contributes(client, round) and vector is not None
        encoded = self.encode(client, round, vector if is_in else np.zeros(self.terms.dimension))
        return encoded, self.draw_noise(client, round)

    def run_round(
        self,
        round: int,
        vectors: Mapping[str, np.ndarray | None],
        drops: Mapping[str, Stage] | None = None,
        masked: bool = True,
    ) -> Transcript:
        """Run one round.

        Args:
            round: Its number; later than all before.
            vectors: What clients have to say, float64, shape (D,); None where training failed; absent is a zero vector.
            drops: Before which stage clients fall silent; if not given, those that the terms allow for.
            masked: False saves time for attackers of the sum, in which masks cancel (`wire.check_exact`).
        """
        drops = dict.fromkeys(self.terms.dropped, Stage.MASK_INPUT) if drops is None else drops
        vectors = {client: vectors.get(client, np.zeros(self.terms.dimension)) for client in self.terms.names}
        summed = [client for client in vectors if drops.get(client, Stage.DONE) > Stage.MASK_INPUT]
        asked = vectors if masked else summed
        parts = {client: self.prepare(client, round, vectors[client]) for client in asked}
        integers = {client: encoded + noise for client, (encoded, noise) in parts.items()}
        messages, total = {}, sum(integers[client] for client in summed)
        if masked:
            exchange = self.parties.run(round, integers, drops)
            total = exchange.total
            messages = {name: sent | self.say_more(name, vectors[name]) for name, sent in exchange.messages.items()}
        return Transcript(
            total=total,
            encoded={client: parts[client][0] for client in summed},
            noise={client: parts[client][1] for client in summed},
            messages=messages,
            charged=self.charge(round),
        )
