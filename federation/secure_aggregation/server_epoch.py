"""What the server collects in an epoch: keys and sealed shares for each of its rounds, and the attempt in progress."""

from __future__ import annotations

from collections.abc import Sequence

from federation.secure_aggregation.bundles import bundle_by_client, unbundle
from federation.secure_aggregation.errors import OrderError
from federation.secure_aggregation.server_attempt import ServerAttempt
from federation.secure_aggregation.session import Session, later_context
from federation.secure_aggregation.stages import Stage

SETUP = (Stage.ADVERTISE, Stage.SHARE_KEYS)
"""The stages whose messages are about all rounds of the epoch."""


class ServerEpoch:
    """An attempt at a round, and what the rounds after it need to do without its first two stages.

    An epoch of one round is that attempt alone. `read` raises ProtocolError if a message is wrong for any round: its
    sender then is in none.

    Args:
        session: Agreed before the first round.
        round: With which the epoch begins.
        context: Of the first attempt.
        rounds: Of the epoch.
    """

    def __init__(self, session: Session, round: int, context: bytes, rounds: int) -> None:
        self.session = session
        self.current = ServerAttempt(session, context)
        later = range(round + 1, round + rounds)
        self._later = {later: ServerAttempt(session, later_context(context, later)) for later in later}

    def holds(self, round: int) -> bool:
        """Whether there are keys for a later round, which no attempt has used."""
        return round in self._later

    def read(self, stage: Stage, client: int, message: bytes) -> None:
        """Take one client's message of a stage."""
        own = self.current
        if stage in SETUP:
            for each, part in zip(self._all, unbundle(message, len(self._all)), strict=True):
                (each.read_advertised if stage is Stage.ADVERTISE else each.read_shares)(client, part)
        else:
            (own.read_masked, own.read_confirmed, own.read_answers)[stage - Stage.MASK_INPUT](client, message)

    def open_share_keys(self, senders: Sequence[int]) -> dict[int, bytes]:
        """Fix U1, in all rounds the same, and send the lists of its keys to everybody."""
        return bundle_by_client([own.open_share_keys(senders) for own in self._all])

    def open_mask_input(self, senders: Sequence[int]) -> dict[int, bytes]:
        """Fix U2, in all rounds the same, and send everybody the shares sealed for it for the first."""
        for own in self._all:
            own.close_setup(senders)
        return self.current.open_mask_input()

    def enter(self, round: int, attempt: int, broadcast: bytes) -> dict[int, bytes]:
        """Begin the one attempt that a round's keys serve, and send everybody in U2 the shares sealed for it."""
        if round not in self._later:
            raise OrderError(f"There are no keys for round {round}. Begin an attempt that agrees on some.")
        self.current = self._later[round]
        self._later = {later: own for later, own in self._later.items() if later > round}
        self.current.context = self.session.context(round, attempt, broadcast, self.current.setup)
        return self.current.open_mask_input()

    @property
    def _all(self) -> list[ServerAttempt]:
        return [self.current, *self._later.values()]
