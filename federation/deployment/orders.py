"""What a server may say to a device: begin or continue an epoch, or one of the requests of secure aggregation."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from federation.deployment.broadcast import STEP_CHARACTERS, Broadcast
from federation.secure_aggregation.errors import MalformedMessageError
from federation.secure_aggregation.framing import HEADER, INDEX
from federation.secure_aggregation.requests import Confirmations, KeyList, SealedShares, SurvivorSets
from federation.secure_aggregation.roster import LONGEST_NAME
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage

NUMBER = struct.Struct(">I")
NUMBERS = struct.Struct(">4sIIII")
"""Type, round, attempt, milliseconds of training, rounds of the epoch."""
STAGE_OF = {
    KeyList.TAG: Stage.SHARE_KEYS,
    SealedShares.TAG: Stage.MASK_INPUT,
    SurvivorSets.TAG: Stage.CONFIRM,
    Confirmations.TAG: Stage.UNMASK,
}


@dataclass(frozen=True)
class Begin:
    """The order that begins an attempt; the same bytes for every device."""

    TAG = b"BEG0"
    round: int
    attempt: int
    training: float
    """Seconds until every device masks what it has."""
    broadcast: Broadcast
    rounds: int = 1
    """Rounds whose keys are agreed on with this one, itself included."""

    @property
    def agreed(self) -> bytes:
        """Return what must be the same for all devices; their masks depend on it.

        The time to train is part of it: one device with time among others without it would be alone in the sum.
        """
        return NUMBER.pack(self.milliseconds) + self.broadcast.encode()

    @property
    def milliseconds(self) -> int:
        """Return the time to train as it is sent."""
        return round(1000 * self.training)

    @property
    def position(self) -> tuple[int, int]:
        """Return round and attempt."""
        return self.round, self.attempt

    def encode(self) -> bytes:
        """Return the order."""
        numbers = NUMBERS.pack(self.TAG, *self.position, self.milliseconds, self.rounds)
        return numbers + self.broadcast.encode()

    @classmethod
    def decode(cls, order: bytes, size: int) -> Begin:
        """Parse an order for adapters of `size` numbers; raises MalformedMessageError."""
        if len(order) < NUMBERS.size or order[:4] != cls.TAG:
            raise MalformedMessageError("An attempt begins with an order of type BEG0. Got another type.")
        _, index, attempt, milliseconds, rounds = NUMBERS.unpack_from(order)
        return cls(index, attempt, milliseconds / 1000, Broadcast.decode(order[NUMBERS.size :], size), rounds)


@dataclass(frozen=True)
class Continue:
    """The order that begins an attempt at a later round of an epoch, with the request for the masked vector."""

    TAG = b"CNT0"
    begin: Begin
    request: bytes
    """Of stage MASK_INPUT, for one device."""

    def encode(self) -> bytes:
        """Return the order."""
        begin = self.begin.encode()
        return self.TAG + INDEX.pack(len(begin)) + begin + self.request

    @classmethod
    def decode(cls, order: bytes, size: int) -> Continue:
        """Parse an order for adapters of `size` numbers; raises MalformedMessageError."""
        start = len(cls.TAG) + INDEX.size
        if len(order) < start or order[:4] != cls.TAG:
            raise MalformedMessageError("A later round begins with an order of type CNT0. Got another type.")
        end = start + INDEX.unpack_from(order, len(cls.TAG))[0]
        return cls(Begin.decode(order[start:end], size), order[end:])


def context_of(order: bytes) -> bytes:
    """Return the context that a request carries, 32 bytes; raises MalformedMessageError if it is too short."""
    if len(order) < HEADER.size:
        raise MalformedMessageError(f"A request begins with a header of {HEADER.size} bytes. Got {len(order)}.")
    return HEADER.unpack_from(order)[2]


def longest_order(session: Session, epoch_rounds: int = 1, rounds: int = 0) -> int:
    """Return the bytes of the longest order of a session; a device reads no more.

    Args:
        session: Its numbers of coordinates and clients.
        epoch_rounds: Rounds of an epoch.
        rounds: Those that a moving clip norm may have steps of, at most.
    """
    numbers = NUMBERS.size + 4 * session.config.dimension + LONGEST_NAME + STEP_CHARACTERS * rounds
    lists = HEADER.size + 256 * len(session.roster.clients)
    return max(numbers + lists, epoch_rounds * lists)
