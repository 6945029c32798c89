"""Attempts at rounds with devices that may fail at every stage: each ends with a sum or is refused, and in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping

import numpy as np

from federation.deployment.nodes import Nodes
from federation.deployment.orders import Begin, Continue
from federation.deployment.patience import Patience
from federation.deployment.recognition import recognise
from federation.secure_aggregation.bundles import unbundle
from federation.secure_aggregation.errors import OrderError, ProtocolError
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.session import Session

LOGGER = logging.getLogger(__name__)


class RemoteAttempt:
    """Drives the five stages of `SecureServer` over a transport, and three for each later round of its epoch.

    Whoever fails a stage is out of those that follow; failures add up, and with too few clients left the attempt ends
    without a sum. Lasts at most five answers and one training, whatever the devices do.

    A later round asks everybody who was there when keys were agreed on. Whatever answers under a node's number then is
    taken for the device that signed; another one could spoil the round, but would learn nothing.

    Args:
        session: Agreed before the first round; its whole roster is asked.
        nodes: The transport.
        patience: Deadlines of the stages.
        begin: What every node is told.
    """

    def __init__(self, session: Session, nodes: Nodes, patience: Patience, begin: Begin) -> None:
        self.roster = session.roster
        self.context = session.context(*begin.position, begin.agreed)
        self.server = SecureServer(session, *begin.position, begin.agreed, session.roster.clients, begin.rounds)
        self.nodes = nodes
        self.patience = patience
        self.begin = begin.encode()
        self.rounds = begin.rounds
        self._clients: dict[int, str] = {}
        self._requests: Mapping[str, bytes] = {}

    def collect(self) -> tuple[str, ...]:
        """Run all stages before the last and return the survivors, whose vectors are in the masked sum.

        Nothing can be read yet, so nothing is to be charged.

        Raises:
            ProtocolError: If too few clients are left. The attempt is over and has cost nothing.
        """
        short = self.patience.answer
        self._take(self._recognise(self._ask(dict.fromkeys(self.nodes.everybody(), self.begin), short)))
        self._take(self._ask_clients(short))
        return self._collect()

    def enter(self, begin: Begin) -> tuple[str, ...]:
        """Run a later round of the epoch in the place of `collect`; raises ProtocolError as it does.

        Only if `server.holds_keys` says so; every round at most once.
        """
        requests = self.server.enter(*begin.position, begin.agreed)
        self._requests = {client: Continue(begin, request).encode() for client, request in requests.items()}
        return self._collect()

    def _collect(self) -> tuple[str, ...]:
        """Have everybody mask, and confirm who survived."""
        self._take(self._ask_clients(self.patience.answer + self.patience.training))
        self._take(self._ask_clients(self.patience.answer))
        return self.server.survivors

    def release(self) -> np.ndarray:
        """Have the masks taken off and return the sum modulo 2^32, uint32, shape (D,). Charge the budget before.

        Raises:
            ProtocolError: If too few clients are left. The attempt is over and stays charged.
        """
        self._take(self._ask_clients(self.patience.answer))
        if self.server.suspects:
            LOGGER.warning("Shares do not fit of %s: wrong, or dealt wrong.", ", ".join(self.server.suspects))
        return self.server.result()

    def _ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        """Yield what nodes answer; a transport that never ends holds the round for twice the time at most.

        Answers that came in time and wait here for the server's own work are not late.
        """
        deadline = time.monotonic() + 2 * seconds
        for answer in self.nodes.ask(orders, seconds):
            yield answer
            if time.monotonic() > deadline:
                return

    def _ask_clients(self, seconds: float) -> Iterator[tuple[str, bytes]]:
        """Give the clients that are left their requests and yield what they answer, by client."""
        orders = {node: self._requests[client] for node, client in self._clients.items() if client in self._requests}
        for node, message in self._ask(orders, seconds):
            yield self._clients.get(node, ""), message

    def _recognise(self, answers: Iterator[tuple[int, bytes]]) -> Iterator[tuple[str, bytes]]:
        """Yield the first messages of devices that sign as clients of the roster; no other node is asked again."""
        for node, message in answers:
            try:
                client = recognise(unbundle(message, self.rounds)[0], self.roster, self.context)
                others = {known for place, known in self._clients.items() if place != node}
                if client in others or self._clients.get(node, client) != client:
                    raise OrderError(f"A client has one device, and a device one client. It speaks for {client}, too.")
            except ProtocolError as error:
                LOGGER.warning("Node %d is refused: %s", node, error)
                continue
            self._clients[node] = client
            yield client, message

    def _take(self, answers: Iterator[tuple[str, bytes]]) -> None:
        """Take what comes in time and close the stage."""
        for client, message in answers:
            try:
                self.server.receive(client, message)
            except ProtocolError as error:
                LOGGER.warning("%s is out of this round: %s", client or "A stranger", error)
        self._requests = self.server.close_stage()
