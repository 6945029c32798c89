"""The server of secure aggregation: in every attempt at a round it is sent masked vectors and learns their sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federation.secure_aggregation.errors import MalformedMessageError, OrderError, ProtocolError, SessionError
from federation.secure_aggregation.server_attempt import ServerAttempt
from federation.secure_aggregation.server_epoch import ServerEpoch
from federation.secure_aggregation.server_inbox import ServerInbox
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage


class SecureServer:
    """Five times: `receive` what clients send, `close_stage`, hand out the requests it returns. Then `result`.

    A client that sends nothing before its stage is closed has dropped out, as has one that sends what it should not.
    Vectors are added as they come; none is kept.

    In an epoch of several rounds the first two messages are about all of them. `enter` goes on to each later round,
    with three stages and everybody who was in the first two, whether it fell silent since or not.

    Args:
        session: Agreed before the first round.
        round: From 0.
        attempt: From 0; rises whenever the round is tried again.
        broadcast: What every client was given.
        cohort: Names of the clients that are asked to advertise.
        rounds: Of the epoch, this one included.

    Raises:
        SessionError: If a client is not enrolled, or there are more than the session allows.
    """

    def __init__(
        self, session: Session, round: int, attempt: int, broadcast: bytes, cohort: Sequence[str], rounds: int = 1
    ) -> None:
        if len(set(cohort)) != len(cohort) or len(cohort) > session.config.clients:
            raise SessionError(f"A cohort has up to {session.config.clients} distinct clients. Got {len(cohort)}.")
        self._roster = session.roster
        self._epoch = ServerEpoch(session, round, session.context(round, attempt, broadcast), rounds)
        self._expect(Stage.ADVERTISE, {session.roster.index(client) for client in cohort})

    @property
    def stage(self) -> Stage | None:
        """Return what clients send next; None once the attempt was given up."""
        return self._inbox.stage

    @property
    def excluded(self) -> dict[str, str]:
        """Return why clients are out of this attempt, by name."""
        return self._inbox.excluded

    @property
    def survivors(self) -> tuple[str, ...]:
        """Return the clients whose vectors are in the sum so far."""
        return tuple(self._roster.clients[index] for index in sorted(self._own.survivors))

    def holds_keys(self, round: int) -> bool:
        """Whether a later round can be entered: its keys are agreed on, and the attempt before it was not given up."""
        return self.stage is not None and self.stage >= Stage.MASK_INPUT and self._epoch.holds(round)

    def enter(self, round: int, attempt: int, broadcast: bytes) -> dict[str, bytes]:
        """Go on to a later round of the epoch and return the requests for masked vectors by client.

        Raises:
            OrderError: If there are no keys for it. Then a new epoch has to begin.
        """
        if not self.holds_keys(round):
            raise OrderError(f"There are no keys for round {round}. Begin a new epoch.")
        requests = self._epoch.enter(round, attempt, broadcast)
        self._expect(Stage.MASK_INPUT, set(requests))
        return self._by_name(requests)

    def receive(self, sender: str, message: bytes) -> None:
        """Take a message; the transport vouches for who sent it.

        What was accepted before is ignored when it comes again. What comes after its stage was closed is discarded
        unread: a late vector must not be kept beside the shares that open its masks.

        Raises:
            ProtocolError: If the sender may not send this now. It is out and gets no later stage; the round may go on
                without it. Its vector, if already in the sum, stays there.
        """
        index = self._roster.index(sender)
        try:
            stage = self._inbox.sort(sender, message)
            if stage is not None:
                self._epoch.read(stage, index, message)
                self._inbox.keep(stage, sender, message)
        except ProtocolError as error:
            self.excluded.setdefault(sender, str(error))
            raise

    def add_up(self, senders: Sequence[str], total: np.ndarray) -> None:
        """Take the sum of several masked vectors at once, from a transport that adds on the way.

        Args:
            senders: Whose vectors are in it; each has sent none yet.
            total: uint32, shape (D,).
        """
        indices = {self._roster.index(sender) for sender in senders}
        if not self._inbox.awaits_vectors(indices) or len(indices) != len(senders):
            raise OrderError("Sums are taken in stage MASK_INPUT, of clients asked for their vector, each once.")
        if total.dtype != np.uint32 or total.shape != self._own.total.shape:
            raise MalformedMessageError(f"The sum is uint32 of shape {self._own.total.shape}. Got {total.dtype}.")
        np.add(self._own.total, total, out=self._own.total)
        self._own.survivors |= indices
        self._inbox.keep_vectors(indices)

    def close_stage(self) -> dict[str, bytes]:
        """Go on with the clients that have sent, and return the next requests by client; after the last stage none.

        Raises:
            ProtocolError: If too few are left or a secret cannot be recovered. The attempt is over, without a sum.
        """
        if self.stage is None or self.stage is Stage.DONE:
            raise OrderError("The attempt is over. Try again with a later one.")
        closed = self.stage
        self._inbox.stage = None
        requests = self._open_next(closed)
        self._inbox.stage, self._inbox.expected = Stage(closed + 1), set(requests)
        return self._by_name(requests)

    def result(self) -> np.ndarray:
        """Return the sum of the survivors' vectors modulo 2^32, uint32, shape (D,).

        Raises:
            OrderError: If not all five stages are closed.
        """
        if self.stage is not Stage.DONE:
            raise OrderError("There is no sum before all five stages are closed.")
        return self._own.total

    @property
    def _own(self) -> ServerAttempt:
        return self._epoch.current

    def _expect(self, stage: Stage, clients: set[int]) -> None:
        """Begin an attempt in which nobody has said anything yet."""
        self._inbox = ServerInbox(self._roster, stage, clients)
        self.suspects: tuple[str, ...] = ()
        """Whose shares did not fit; they sent wrong ones, or were dealt them."""

    def _by_name(self, requests: dict[int, bytes]) -> dict[str, bytes]:
        return {self._roster.clients[index]: request for index, request in sorted(requests.items())}

    def _open_next(self, closed: Stage) -> dict[int, bytes]:
        senders = self._inbox.senders(closed)
        match closed:
            case Stage.ADVERTISE:
                return self._epoch.open_share_keys(senders)
            case Stage.SHARE_KEYS:
                return self._epoch.open_mask_input(senders)
            case Stage.MASK_INPUT:
                out = self._inbox.out()
                return {client: request for client, request in self._own.open_confirm().items() if client not in out}
            case Stage.CONFIRM:
                return self._own.open_unmask(senders)
            case _:
                self.suspects = tuple(self._roster.clients[index] for index in sorted(self._own.finish(senders)))
                return {}
