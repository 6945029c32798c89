"""A client of secure aggregation: requests in, messages out, each stage of each attempt at most once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.key_source import KeySource
from federation.secure_aggregation.client_attempt import ClientAttempt
from federation.secure_aggregation.client_epoch import ClientEpoch
from federation.secure_aggregation.errors import ChangedRequestError, MalformedMessageError, OrderError, SessionError
from federation.secure_aggregation.memory import Answer, Memory
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage


class SecureClient:
    """One client in all rounds of a session (Bonawitz et al. 2017, with signed keys and survivor sets).

    It keeps order, answers an identical repeated request with the identical stored reply, and gives the attempt up at
    whatever it does not expect: from then on it sends nothing more before a later attempt. It reads and writes nothing
    but `memory`.

    An attempt may agree on keys for the rounds after it, too: an *epoch*. Then `advertise` and `share_keys` answer for
    all of its rounds, and each later one begins with `enter` and goes on with `mask_input`.

    Args:
        name: As in the roster.
        identity: Its Ed25519 key.
        session: Already verified against the key pinned on the device.
        keys: Source of all its secrets.
        memory: What outlasts the process. Secrets do not: after a restart an attempt can repeat what it said, no more,
            and the client waits for the next epoch.

    Raises:
        SessionError: If the roster does not hold the client with this identity.
    """

    def __init__(
        self, name: str, identity: Ed25519PrivateKey, session: Session, keys: KeySource, memory: Memory
    ) -> None:
        index = session.roster.index(name)
        if session.roster.identities[index] != identity.public_key().public_bytes_raw():
            raise SessionError(f"The roster holds another identity key for {name}. Enrol this device again.")
        self.name, self.identity, self.session, self.keys, self.memory = name, identity, session, keys, memory
        self._epoch: ClientEpoch | None = None
        self._stage = Stage.ADVERTISE
        self._gave_up = False

    @property
    def survivors(self) -> tuple[str, ...]:
        """Return the clients in the sum, known from `confirm` until `unmask` has answered: what a ledger charges."""
        return self._attempt.survivors if self._attempt is not None else ()

    def advertise(self, round: int, attempt: int, broadcast: bytes, rounds: int = 1) -> bytes:
        """Begin an attempt, which ends the last epoch, and return message 1.

        Args:
            round: From 0.
            attempt: From 0; rises whenever the round is tried again.
            broadcast: What the server gave to this client, and must have given to all.
            rounds: Of the epoch, this one included.

        Raises:
            OrderError: If this round and attempt are not later than the latest ones. The attempt in progress goes on.
            ChangedRequestError: If the attempt was begun with another broadcast or for another number of rounds.
        """
        context = self.session.context(round, attempt, broadcast)
        latest = self.memory.position(self.session.id)
        if latest is not None and (round, attempt) < latest:
            raise OrderError(f"Rounds and attempts only rise. Got {(round, attempt)} after {latest}.")
        if (round, attempt) != latest:
            # On disk before anything else, so that no crash can lead to two sets of keys for one attempt.
            self.memory.begin(self.session.id, (round, attempt))
            self._epoch = None
            self._stage = Stage.ADVERTISE
            self._gave_up = False
            position = (round, attempt)
            self._epoch = ClientEpoch(self.name, self.identity, self.session, position, context, self.keys, rounds)
        request = context + rounds.to_bytes(4, "big")
        return self._answer(Stage.ADVERTISE, request, lambda: self._epoch.advertise())

    def share_keys(self, request: bytes) -> bytes:
        """Check everybody's keys and return message 2; raises ProtocolError and gives up if anything is wrong."""
        return self._answer(Stage.SHARE_KEYS, request, lambda: self._epoch.share_keys(request))

    def enter(self, round: int, attempt: int, broadcast: bytes) -> bytes:
        """Go on to a later round of the epoch and return the context of this attempt at it.

        Its keys serve this attempt and no other, those of earlier rounds are gone. To enter it again changes nothing.

        Raises:
            OrderError: If there are no keys for this round, or they have served. The attempt in progress goes on.
            ChangedRequestError: If this attempt was entered with another broadcast. It is given up.
        """
        latest = self.memory.position(self.session.id)
        if self._epoch is None or self._stage < Stage.MASK_INPUT or (round, attempt) < latest:
            raise OrderError(f"{self.name} shares no keys for round {round}. It waits for the next epoch.")
        context = self._epoch.context(round, attempt, broadcast)
        if (round, attempt) != latest:
            self._epoch.demand(round)
            self.memory.begin(self.session.id, (round, attempt))
            self._epoch.enter(round, context)
            self._stage, self._gave_up = Stage.MASK_INPUT, False
        elif context != self._epoch.entered:
            self._give_up()
            raise ChangedRequestError(f"{self.name} entered this attempt with another broadcast, so it gives up.")
        return context

    def mask_input(self, request: bytes, vector: np.ndarray) -> bytes:
        """Return message 3: the masked vector.

        Args:
            request: The server's.
            vector: uint32, shape (D,); left as it is. To a repeated request the stored reply is given, whatever the
                vector: two vectors under the same masks would show their difference.
        """
        return self._answer(Stage.MASK_INPUT, request, lambda: self._attempt.mask_input(request, vector))

    def confirm(self, request: bytes) -> bytes:
        """Check the survivor set and return message 4."""
        return self._answer(Stage.CONFIRM, request, lambda: self._attempt.confirm(request))

    def unmask(self, request: bytes) -> bytes:
        """Check the others' signatures and return message 5. The budget is to be charged before."""
        reply = self._answer(Stage.UNMASK, request, lambda: self._attempt.unmask(request))
        self._drop()
        return reply

    @property
    def _attempt(self) -> ClientAttempt | None:
        return self._epoch.current if self._epoch is not None else None

    def _give_up(self) -> None:
        self._gave_up = True
        self._drop()

    def _drop(self) -> None:
        """Forget the secrets of the attempt; those of later rounds stay."""
        if self._epoch is not None:
            self._epoch.current = None

    def _answer(self, stage: Stage, request: bytes, work: Callable[[], bytes]) -> bytes:
        """Return the stored reply to a repeated request, or do the work and store its reply before it is sent."""
        try:
            known = self._recall(stage, request)
            if known is not None:
                return known
            if self._attempt is None or stage is not self._stage:
                raise OrderError(
                    f"Stage {stage.name} was asked for while {self._stage.name} was expected, or its attempt was "
                    "begun by a process that is gone. Try again with a later attempt."
                )
            reply = work()
            self.memory.keep(self.session.id, stage, Answer(hashlib.sha256(request).digest(), reply))
            self._stage = Stage(stage + 1)
            return reply
        except Exception:
            self._give_up()
            if stage < Stage.MASK_INPUT:
                self._epoch = None  # what came with one round's wrong keys is not used in the others
            raise

    def _recall(self, stage: Stage, request: bytes) -> bytes | None:
        """Return what was said at a stage, None if nothing."""
        if self._gave_up:
            raise OrderError(f"{self.name} gave this attempt up. Try again with a later attempt.")
        if not isinstance(request, bytes):
            raise MalformedMessageError(f"A request is `bytes`. Got {type(request).__name__}.")
        known = self.memory.answer(self.session.id, stage)
        if known is not None and known.request != hashlib.sha256(request).digest():
            raise ChangedRequestError(
                f"{self.name} already answered another request of stage {stage.name} in this attempt. Two different "
                "answers could reveal its vector, so it gives up."
            )
        return known.reply if known is not None else None
