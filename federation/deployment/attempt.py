"""One attempt at a round with devices that may fail at every stage: it ends with a sum or is refused, and in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federation.deployment.nodes import Nodes
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.server import SecureServer

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long the server waits for answers; the same for everybody, so that waiting tells nothing about anybody."""

    answer: float = 60.0
    """Seconds for an answer that takes no training."""
    training: float = 600.0
    """Seconds that a device may train before it must mask what it has, or nothing."""

    def __post_init__(self) -> None:
        for name in ("answer", "training"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` must be a positive number of seconds. Got {getattr(self, name)}.")


class RemoteAttempt:
    """Drives the five stages of `SecureServer` over a transport.

    Whoever fails a stage is out of those that follow; failures add up, and with too few clients left the attempt ends
    without a sum. Lasts at most four answers and one training, whatever the devices do.

    Args:
        server: Of this attempt, fresh.
        nodes: The transport.
        patience: Deadlines of the stages.
    """

    def __init__(self, server: SecureServer, nodes: Nodes, patience: Patience) -> None:
        self.server, self.nodes, self.patience = server, nodes, patience
        self._unmask: Mapping[str, bytes] = {}

    def collect(self, orders: Mapping[str, bytes]) -> tuple[str, ...]:
        """Run all stages before the last and return the survivors, whose vectors are in the masked sum.

        Nothing can be read yet, so nothing is to be charged.

        Args:
            orders: What begins the attempt, by client.

        Raises:
            ProtocolError: If too few clients are left. The attempt is over and has cost nothing.
        """
        short, long = self.patience.answer, self.patience.answer + self.patience.training
        for seconds in (short, short, long, short):
            orders = self._play_stage(orders, seconds)
        self._unmask = orders
        return self.server.survivors

    def release(self) -> np.ndarray:
        """Have the masks taken off and return the sum modulo 2^32, uint32, shape (D,). Charge the budget before.

        Raises:
            ProtocolError: If too few clients are left. The attempt is over and stays charged.
        """
        self._play_stage(self._unmask, self.patience.answer)
        return self.server.result()

    def _play_stage(self, orders: Mapping[str, bytes], seconds: float) -> dict[str, bytes]:
        """Give out orders, take what comes before the deadline and return the next orders."""
        deadline = time.monotonic() + seconds
        for client, message in self.nodes.ask(orders, seconds):
            try:
                self.server.receive(client, message)
            except ProtocolError as error:
                LOGGER.warning("%s is out of this round: %s", client, error)
            if time.monotonic() > deadline:  # a transport that never ends must not hold the round
                break
        return self.server.close_stage()
