"""Rounds of secure aggregation with all parties in one process, and the CPU time that each takes at each stage."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.cpu_time import timed
from federation.key_source import OperatingSystemKeys
from federation.privacy.cohort_counts import CohortCounts
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.session import Session, SessionConfig
from federation.secure_aggregation.stages import Stage

BROADCAST = b"global adapter"
STAGES = list(Stage)[:-1]


@dataclass(frozen=True)
class StageCosts:
    """What one stage took."""

    server: float
    """CPU seconds for reading the messages and opening what comes next: requests, or at the end the sum."""
    clients: list[float]
    """CPU seconds of each client that answered."""
    sent: list[int]
    """Bytes of each answer."""


@dataclass
class SecureRounds:
    """A session on the complete graph against an active server; every run is one attempt at its only round."""

    cohort: CohortCounts
    """All of whom are enrolled."""
    dimension: int
    """D."""
    attempt: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.names = [f"client-{number:04d}" for number in range(self.cohort.clients)]
        identities = {name: Ed25519PrivateKey.generate() for name in self.names}
        self.session = self._sign(identities)
        keys = OperatingSystemKeys()
        self._clients = {
            name: SecureClient(name, identity, self.session, keys, InMemory()) for name, identity in identities.items()
        }

    def run(self, vectors: Mapping[str, np.ndarray], dropped: Collection[str] = ()) -> dict[Stage, StageCosts]:
        """Run all stages, check the sum, and return the costs by stage.

        Args:
            vectors: What each client sends, uint32, shape (D,).
            dropped: Clients that deal their shares and then fall silent: the kind of dropout that costs most.

        Raises:
            RuntimeError: If the sum is not that of the survivors' vectors.
        """
        server = SecureServer(self.session, 0, self.attempt, BROADCAST, self.names)
        requests, costs = dict.fromkeys(self.names, b""), {}
        for stage in STAGES:
            if stage is Stage.MASK_INPUT:
                requests = {name: request for name, request in requests.items() if name not in dropped}
            costs[stage], requests = self._play(server, stage, requests, vectors)
        self.attempt += 1
        survivors = [vectors[name] for name in self.names if name not in dropped]
        if not np.array_equal(server.result(), np.add.reduce(survivors, dtype=np.uint32)):
            raise RuntimeError("The sum is not that of the survivors' vectors; its times mean nothing.")
        return costs

    def _play(
        self, server: SecureServer, stage: Stage, requests: Mapping[str, bytes], vectors: Mapping[str, np.ndarray]
    ) -> tuple[StageCosts, dict[str, bytes]]:
        """Let everybody answer and close the stage; return its costs and the next requests."""
        clients, reading, sent = [], 0.0, []
        for name, request in requests.items():
            message, seconds = timed(self._ask, stage, name, request, vectors[name])
            clients.append(seconds)
            sent.append(len(message))
            reading += timed(server.receive, name, message)[1]
        following, opening = timed(server.close_stage)
        return StageCosts(reading + opening, clients, sent), following

    def _ask(self, stage: Stage, name: str, request: bytes, vector: np.ndarray) -> bytes:
        client = self._clients[name]
        match stage:
            case Stage.ADVERTISE:
                return client.advertise(0, self.attempt, BROADCAST)
            case Stage.SHARE_KEYS:
                return client.share_keys(request)
            case Stage.MASK_INPUT:
                return client.mask_input(request, vector)
            case Stage.CONFIRM:
                return client.confirm(request)
            case _:
                return client.unmask(request)

    def _sign(self, identities: Mapping[str, Ed25519PrivateKey]) -> Session:
        authority = Ed25519PrivateKey.generate()
        roster = Roster.sign({name: key.public_key() for name, key in identities.items()}, authority)
        numbers = (self.cohort.clients, self.cohort.colluders, self.cohort.honest)
        config = SessionConfig.plan(self.dimension, *numbers, "active", hashlib.sha256(b"other settings").digest())
        return Session.sign(roster, config, os.urandom(32), authority)
