"""Devices in one process that fail at random, and a transport that loses what they say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from federation.deployment.attempt import Patience, RemoteAttempt
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import Parties, make_session, plan

PATIENCE = Patience(answer=30.0, training=30.0)


@dataclass
class FailingNodes:
    """Asks clients of this process; at every stage each fails with the same probability, for the rest of the attempt.

    Half of those that fail have heard the order and answered: only the answer is lost.
    """

    parties: Parties
    share: float
    draws: random.Random
    stage: Stage = Stage.ADVERTISE
    gone: set[str] = field(default_factory=set)

    def ask(self, orders: Mapping[str, bytes], seconds: float) -> Iterator[tuple[str, bytes]]:
        answers = [(client, self._answer(client, order)) for client, order in orders.items() if client not in self.gone]
        self.stage = Stage(self.stage + 1)
        yield from ((client, answer) for client, answer in answers if answer is not None)

    def _answer(self, client: str, order: bytes) -> bytes | None:
        fate = self.draws.random()
        if fate < self.share:
            self.gone.add(client)
        return self.parties.ask(client, self.stage, order) if fate >= self.share / 2 else None


@dataclass
class SimulatedFederation:
    """A session whose devices live as long as it does; every round is tried once."""

    session: Session
    seed: int = 0

    def __post_init__(self) -> None:
        self.parties, self.draws = Parties(self.session), random.Random(self.seed)

    def run_round(self, index: int, share: float) -> str:
        """Return `exact`, `wrong` or `refused`, the fate of a round in which this share fails at every stage."""
        self.parties.round = index
        server = SecureServer(self.session, index, 0, self.parties.broadcast, self.parties.names)
        attempt = RemoteAttempt(server, FailingNodes(self.parties, share, self.draws), PATIENCE)
        try:
            survivors = attempt.collect(dict.fromkeys(self.parties.names, b""))
            total = attempt.release()
        except ProtocolError:
            return "refused"
        assert len(survivors) >= self.session.config.least_survivors
        return "exact" if np.array_equal(total, self.parties.plain_sum(survivors)) else "wrong"


def make_federation(clients: int, colluders: int, honest: int) -> SimulatedFederation:
    return SimulatedFederation(make_session(plan(clients, colluders, honest, dimension=4)))
