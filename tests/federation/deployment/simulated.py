"""Devices in one process that fail at random, and a transport that loses what they say."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from federation.cohort import RoundRefusedError
from federation.deployment.attempt import RemoteAttempt
from federation.deployment.broadcast import Broadcast
from federation.deployment.orders import Begin, Continue
from federation.deployment.patience import Patience
from federation.deployment.roster_cohort import RosterCohort
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage
from federation.update import RoundState
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
    asked: Counter[str] = field(default_factory=Counter)

    def everybody(self) -> list[int]:
        return list(range(len(self.parties.names)))

    def ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        self._open(next(iter(orders.values()), b""))
        self.asked[self.stage.name] += 1
        answers = [(node, self._answer(node, order)) for node, order in orders.items() if node not in self.gone]
        self.stage = Stage(self.stage + 1)
        yield from ((node, answer) for node, answer in answers if answer is not None)

    def _open(self, order: bytes) -> None:
        """Take up the attempt that an order begins, if it begins one."""
        if order[:4] in (Begin.TAG, Continue.TAG):
            size, later = BROADCAST.adapter.numel(), order[:4] == Continue.TAG
            begin = Continue.decode(order, size).begin if later else Begin.decode(order, size)
            self.parties.round, self.parties.attempt = begin.position
            self.parties.rounds, self.parties.later = begin.rounds, later
            self.stage, self.gone = Stage.MASK_INPUT if later else Stage.ADVERTISE, set()

    def _answer(self, node: int, order: bytes) -> bytes | None:
        fate = self.draws.random()
        if fate < self.share:
            self.gone.add(node)
        if order[:4] == Continue.TAG:
            order = Continue.decode(order, BROADCAST.adapter.numel()).request
        return self.parties.ask(self.parties.names[node], self.stage, order) if fate >= self.share / 2 else None


@dataclass
class SimulatedFederation:
    """A session whose devices live as long as it does; every round is tried once."""

    session: Session
    epoch_rounds: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        self.parties = Parties(self.session, broadcast=Begin(0, 0, PATIENCE.training, BROADCAST).agreed)
        self.nodes = FailingNodes(self.parties, draws=random.Random(self.seed))
        self.cohort = RosterCohort(self.session, self.nodes, PATIENCE, self.epoch_rounds)

    def begin(self, index: int, nodes: object | None = None, patience: Patience = PATIENCE) -> RemoteAttempt:
        """Return the first attempt at a round."""
        order = Begin(index, 0, patience.training, BROADCAST)
        self.parties.broadcast = order.agreed
        return RemoteAttempt(self.session, nodes or self.nodes, patience, order)

    def run_round(self, index: int, share: float) -> str:
        """Return `exact`, `wrong` or `refused`, the fate of a round in which this share fails at every stage."""
        self.nodes.share = share
        state = RoundState(index, tuple(self.parties.names), BROADCAST.adapter, BROADCAST.clip_norm, dict)
        try:
            self.cohort.collect(state)
            total = self.cohort.release(state).wire
        except RoundRefusedError:
            return "refused"
        assert len(state.survivors) >= self.session.config.least_survivors
        return "exact" if np.array_equal(total, self.parties.plain_sum(state.survivors)) else "wrong"


def make_federation(
    clients: int = 5, colluders: int = 1, honest: int = 3, epoch_rounds: int = 1
) -> SimulatedFederation:
    return SimulatedFederation(make_session(plan(clients, colluders, honest, dimension=4)), epoch_rounds)
