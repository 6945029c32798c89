"""The cohort as the server's rounds see it when its devices are elsewhere."""

from __future__ import annotations

import logging
import time

from federation.cohort import Cohort, RoundRefusedError
from federation.deployment.attempt import RemoteAttempt
from federation.deployment.broadcast import Broadcast
from federation.deployment.nodes import Nodes
from federation.deployment.orders import Begin
from federation.deployment.patience import Patience
from federation.privacy.clip_norm import STEPS_NOTE
from federation.privacy.ledger import RELEASED_NOTE
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.masks import from_ring
from federation.secure_aggregation.session import Session
from federation.update import Aggregate, RoundState

LOGGER = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
"""Between two looks for devices: often enough for a person who starts one, and seldom enough for a relay."""
FIRST_MESSAGES, LATER_MESSAGES = 5, 3
"""What a device sends in the first round of an epoch, and in each later one."""


class RosterCohort(Cohort):
    """Plays the server of every attempt over a transport; the whole roster is asked, whoever answers.

    Args:
        session: Signed; the server takes it as it is.
        nodes: The transport.
        patience: How long to wait.
        epoch_rounds: Rounds whose keys are agreed on at once. A refused round ends its epoch: its own keys have served,
            and devices that lost theirs come back only with new ones.
    """

    def __init__(self, session: Session, nodes: Nodes, patience: Patience, epoch_rounds: int = 1) -> None:
        self.session, self.nodes, self.patience, self.epoch_rounds = session, nodes, patience, epoch_rounds
        self._attempt: RemoteAttempt | None = None

    def collect(self, state: RoundState) -> None:
        """Have the devices train and mask, and name those whose vectors are in the masked sum."""
        if state.wire_size != self.session.config.dimension:
            raise ValueError(
                f"The session is signed for {self.session.config.dimension} coordinates. Got {state.wire_size}. Sign a "
                "session for this configuration."
            )
        steps = tuple(map(tuple, state.notes.get(STEPS_NOTE, ())))
        broadcast = Broadcast(state.clip_norm, state.notes.get(RELEASED_NOTE) or "", state.global_adapter, steps)
        begin = Begin(state.index, state.attempt, self.patience.training, broadcast, self.epoch_rounds)
        self._wait_for_nodes()
        try:
            if self._attempt is not None and self._attempt.server.holds_keys(state.index):
                state.survivors = self._attempt.enter(begin)
                state.metrics["released/messages"] = float(LATER_MESSAGES)
            else:
                self._attempt = RemoteAttempt(self.session, self.nodes, self.patience, begin)
                state.survivors = self._attempt.collect()
                state.metrics["released/messages"] = float(FIRST_MESSAGES)
        except (ProtocolError, OSError) as error:
            self._attempt = None
            raise RoundRefusedError(f"{error} It has cost nothing.") from error
        if missing := sorted(set(self.session.roster.clients) - set(state.survivors)):
            LOGGER.warning("Round %d goes on without %s.", state.index + 1, ", ".join(missing))

    def _wait_for_nodes(self) -> None:
        """Wait as long as for an answer until enough nodes are there: a carrier that starts anew finds them again.

        Without that, a restart would use up all the refusals that a run bears before anybody is back.
        """
        deadline = time.monotonic() + self.patience.answer
        said = ""
        while reason := self._missing():
            if time.monotonic() + PAUSE_SECONDS > deadline:
                return
            if reason != said:
                LOGGER.warning("Waiting for devices: %s", reason)
            said = reason
            time.sleep(PAUSE_SECONDS)

    def _missing(self) -> str:
        """Return why no attempt can begin yet, empty if one can."""
        least = self.session.config.least_clients
        try:
            found = len(self.nodes.everybody())
        except OSError as error:
            return str(error)
        return "" if found >= least else f"at least {least} nodes must be there. Got {found}."

    def release(self, state: RoundState) -> Aggregate:
        """Return the sum; a failure here leaves the attempt charged."""
        try:
            total = self._attempt.release()
        except (ProtocolError, OSError) as error:
            self._attempt = None
            raise RoundRefusedError(f"{error} It stays charged, as devices may have opened their shares.") from error
        state.metrics["released/upload_bytes"] = float(total.nbytes)
        state.metrics["released/survivors"] = float(len(state.survivors))
        return Aggregate(total, len(state.survivors), integers=from_ring(total))
