"""What the server takes from whom in an attempt: every message in its stage, once, and from a client that was asked."""

from __future__ import annotations

import hashlib

from federation.secure_aggregation.errors import ChangedRequestError, MalformedMessageError, OrderError
from federation.secure_aggregation.messages import Advertise, Confirm, MaskedInput, ShareKeys, Unmask
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.stages import Stage

STAGE_OF = {
    Advertise.TAG: Stage.ADVERTISE,
    ShareKeys.TAG: Stage.SHARE_KEYS,
    MaskedInput.TAG: Stage.MASK_INPUT,
    Confirm.TAG: Stage.CONFIRM,
    Unmask.TAG: Stage.UNMASK,
}


class ServerInbox:
    """Knows who was asked, who has sent and who is out; it looks at no message beyond its type and its hash.

    Args:
        roster: Of the session.
        stage: Whose messages come first.
        clients: Who is asked for them, as numbers of the roster.
    """

    def __init__(self, roster: Roster, stage: Stage, clients: set[int]) -> None:
        self.roster, self.expected = roster, clients
        self.stage: Stage | None = stage
        """What clients send next; None once the attempt was given up."""
        self.excluded: dict[str, str] = {}
        """Why clients are out of this attempt, by name."""
        self._accepted: dict[tuple[Stage, int], bytes] = {}

    def sort(self, sender: str, message: bytes) -> Stage | None:
        """Return the stage of a message that is to be read; None for one to discard, repeated or late.

        Raises:
            ProtocolError: If the sender may not send this now.
        """
        index, stage = self.roster.index(sender), _stage_of(message)
        if (stage, index) in self._accepted:
            if _fingerprint(stage, message) != self._accepted[stage, index]:
                raise ChangedRequestError(f"{sender} sent two different messages of {stage.name}.")
            return None
        if self.stage is not None and stage < self.stage:
            return None
        if stage != self.stage or index not in self.expected or sender in self.excluded:
            raise OrderError(f"{sender} was not asked for {stage.name}.")
        return stage

    def keep(self, stage: Stage, sender: str, message: bytes) -> None:
        """Remember that a message was read and found right."""
        self._accepted[stage, self.roster.index(sender)] = _fingerprint(stage, message)

    def awaits_vectors(self, clients: set[int]) -> bool:
        """Whether all of these are asked for their vectors, and none has sent one."""
        sent = {index for stage, index in self._accepted if stage is Stage.MASK_INPUT}
        return self.stage is Stage.MASK_INPUT and clients <= self.expected - sent

    def keep_vectors(self, clients: set[int]) -> None:
        """Remember that vectors came as a sum."""
        self._accepted |= {(Stage.MASK_INPUT, index): b"" for index in clients}

    def out(self) -> set[int]:
        """Return the numbers of those who are out."""
        return {self.roster.index(name) for name in self.excluded}

    def senders(self, stage: Stage) -> list[int]:
        """Return who has sent the message of a stage and is not out."""
        return sorted({index for each, index in self._accepted if each is stage} - self.out())


def _stage_of(message: bytes) -> Stage:
    if not isinstance(message, bytes) or message[:4] not in STAGE_OF:
        raise MalformedMessageError("A message is `bytes` that begin with the type of one of five messages.")
    return STAGE_OF[message[:4]]


def _fingerprint(stage: Stage, message: bytes) -> bytes:
    """Return what tells a message from another; a second vector is not even looked at."""
    return b"" if stage is Stage.MASK_INPUT else hashlib.sha256(message).digest()
