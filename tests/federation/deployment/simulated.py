"""Devices in one process that fail at random, and a transport that loses what they say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from federation.deployment.attempt import RemoteAttempt
from federation.deployment.broadcast import Broadcast
from federation.deployment.orders import Begin
from federation.deployment.patience import Patience
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import Parties, make_session, plan

PATIENCE = Patience(answer=3600.0, training=3600.0)
BROADCAST = Broadcast(1.0, "", torch.zeros(3))


@dataclass
class FailingNodes:
    """Asks clients of this process; at every stage each fails with the same probability, for the rest of the attempt.

    Half of those that fail have heard the order and answered: only the answer is lost.
    """

    parties: Parties
    share: float = 0.0
    draws: random.Random = field(default_factory=lambda: random.Random(0))
    stage: Stage = Stage.ADVERTISE
    gone: set[int] = field(default_factory=set)

    def everybody(self) -> list[int]:
        return list(range(len(self.parties.names)))

    def ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        answers = [(node, self._answer(node, order)) for node, order in orders.items() if node not in self.gone]
        self.stage = Stage(self.stage + 1)
        yield from ((node, answer) for node, answer in answers if answer is not None)

    def _answer(self, node: int, order: bytes) -> bytes | None:
        fate = self.draws.random()
        if fate < self.share:
            self.gone.add(node)
        return self.parties.ask(self.parties.names[node], self.stage, order) if fate >= self.share / 2 else None


@dataclass
class SimulatedFederation:
    """A session whose devices live as long as it does; every round is tried once."""

    session: Session
    seed: int = 0

    def __post_init__(self) -> None:
        self.parties = Parties(self.session, broadcast=BROADCAST.encode())
        self.draws = random.Random(self.seed)

    def begin(self, index: int, nodes: object | None = None, patience: Patience = PATIENCE) -> RemoteAttempt:
        """Return the first attempt at a round."""
        self.parties.round = index
        order = Begin(index, 0, patience.training, BROADCAST)
        return RemoteAttempt(self.session, nodes or FailingNodes(self.parties), patience, order)

    def run_round(self, index: int, share: float) -> str:
        """Return `exact`, `wrong` or `refused`, the fate of a round in which this share fails at every stage."""
        attempt = self.begin(index, FailingNodes(self.parties, share, self.draws))
        try:
            survivors = attempt.collect()
            total = attempt.release()
        except ProtocolError:
            return "refused"
        assert len(survivors) >= self.session.config.least_survivors
        return "exact" if np.array_equal(total, self.parties.plain_sum(survivors)) else "wrong"


def make_federation(clients: int = 5, colluders: int = 1, honest: int = 3) -> SimulatedFederation:
    return SimulatedFederation(make_session(plan(clients, colluders, honest, dimension=4)))
