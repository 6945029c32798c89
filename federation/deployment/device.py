"""A device in a deployment: orders in, one of the five messages out, whatever becomes of its training."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Event, Lock

import numpy as np

from federation.deployment.client_half import ClientHalf
from federation.deployment.clock import Clock
from federation.deployment.device_books import DeviceBooks
from federation.deployment.orders import STAGE_OF, Begin, Continue, context_of
from federation.deployment.signed_norm import SignedNorm
from federation.deployment.trainer import Trainer
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.errors import ContextMismatchError, MalformedMessageError, OrderError
from federation.secure_aggregation.stages import Stage

LOGGER = logging.getLogger(__name__)

BEGIN_SECONDS = 0.25
"""Between the start of training and the answer to its order: fixed, so that nobody can tell whether a late training had
to be ended first."""
WORK_SECONDS = 1.0
"""Between the end of training and the masked vector: fixed, so that nobody can tell how long clip, noise and masks
took."""

NO_VECTOR = np.empty(0, np.uint32)


@dataclass
class Device:
    """Answers a server it does not trust, from several threads.

    The times at which an attempt is begun and its masked vector leaves follow from the times of the orders and from
    nothing else: not from the coin, not from how training went. This does not hold on a device so slow that clip, noise
    and masks take more than a second, or the start of a process more than a quarter of one.
    """

    client: SecureClient
    half: ClientHalf
    trainer: Trainer
    books: DeviceBooks
    norm: SignedNorm
    """S as signed, or as it follows from that where it moves."""
    rounds: int
    """Of the session, as signed."""
    clock: Clock = field(default_factory=Clock)
    epoch_rounds: int = 1
    """Rounds whose keys a server may ask for at once, as signed."""

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._begin: Begin | None = None
        self._context = b""
        self._begun = 0.0
        self._due = 0.0
        self._survivors = 0
        self._over = Event()
        self._masked = b""

    def answer(self, order: bytes) -> bytes:
        """Return the message that an order asks for.

        Raises:
            ProtocolError: If no honest server would have given it now. The attempt is over for this device, unless the
                order is of another attempt, which changes nothing.
            OwnerRefusalError: If the owner does not allow what it asks for.
        """
        if order[:4] == Begin.TAG:
            with self._lock:
                message = self._start(Begin.decode(order, self.size))
                self.clock.sleep_until(self._begun + BEGIN_SECONDS)  # with the lock, see `_mask`
            return message
        if order[:4] == Continue.TAG:
            later = Continue.decode(order, self.size)
            with self._lock:
                self._enter(later.begin)
            return self._mask(later.request)
        stage = STAGE_OF.get(order[:4])
        if stage is None:
            raise MalformedMessageError("An order is of one of six types. Got another.")
        return self._mask(order) if stage is Stage.MASK_INPUT else self._continue(stage, order)

    @property
    def size(self) -> int:
        """Return the length d of the adapter: the vector holds its weight, too, and the clip bit if S moves."""
        return self.client.session.config.dimension - 1 - self.norm.clipping.adaptive

    def _start(self, begin: Begin) -> bytes:
        """Advertise, and begin to train; an attempt that is repeated is not begun twice."""
        context = self.client.session.context(*begin.position, begin.agreed)
        if context != self._context:
            self._demand_agreed(begin)
            self.half.check(begin)
        message = self.client.advertise(*begin.position, begin.agreed, begin.rounds)
        if context != self._context:
            self._train(begin, context)
        return message

    def _enter(self, begin: Begin) -> None:
        """Begin to train for a later round of the epoch; an order that is repeated begins nothing twice."""
        self._demand_agreed(begin)
        self.half.check(begin)
        context = self.client.enter(*begin.position, begin.agreed)
        if context != self._context:
            self._train(begin, context)

    def _train(self, begin: Begin, context: bytes) -> None:
        """Begin to train if the budget has room; a refusal leaves the device without an attempt."""
        self._over.set()  # who waits for the end of an earlier attempt would hold one of few connections
        self._context = b""
        self._survivors = 0
        self._over = Event()
        self.books.demand_room(begin)  # before the clock starts: it may take a while
        self._begun = self.clock.now()
        self._due = self._begun + begin.training
        self._masked = b""
        self.trainer.start(begin)
        self.norm.accept(begin.broadcast)
        self._begin, self._context = begin, context

    def _mask(self, order: bytes) -> bytes:
        """Wait for the end of training, and return the masked vector a fixed time later.

        For an order that comes after the end of training, too, or whoever holds it back could time the work. The lock
        is kept to the end, also of an order that is refused: else the answer to any other order would show when the
        work was done.
        """
        with self._lock:
            start, over = max(self._demand_current(order), self.clock.now()), self._over
        self.clock.sleep_until(start, over)
        with self._lock:
            self._demand_current(order)
            try:
                # For a repeated order no other vector is made: the client gives its stored reply, or gave up.
                vector = NO_VECTOR if order == self._masked else self._encode()
                message = self.client.mask_input(order, vector)
                self.books.reserve(self._begin)  # on disk before a vector leaves, and only for one that does
                self._masked = order
            finally:
                self.clock.sleep_until(start + WORK_SECONDS)
        return message

    def _encode(self) -> np.ndarray:
        trained = self.trainer.take(self._begin)
        if trained is None:
            LOGGER.warning("Round %d: training left nothing in time. The update is zero.", self._begin.round + 1)
        return self.half.encode(self._begin, trained)

    def _continue(self, stage: Stage, order: bytes) -> bytes:
        """Answer a request that needs no training."""
        with self._lock:
            self._demand_current(order)
            if stage is Stage.SHARE_KEYS:
                return self.client.share_keys(order)
            if stage is Stage.CONFIRM:
                message = self.client.confirm(order)
                self._survivors = len(self.client.survivors) or self._survivors
                return message
            if not self._survivors:
                raise OrderError("Nothing is unmasked before the survivors are confirmed.")
            self.books.charge(self._begin, self._survivors)
            return self.client.unmask(order)

    def _demand_current(self, order: bytes) -> float:
        """Refuse a request of another attempt, which must not end this one; return when training ends."""
        if not self._context or context_of(order) != self._context:
            raise ContextMismatchError("The request is of another attempt than the one this device is in. Ignored.")
        return self._due

    def _demand_agreed(self, begin: Begin) -> None:
        """Refuse a round, an epoch or a clip norm that was not signed."""
        if begin.round >= self.rounds:
            raise ContextMismatchError(f"The session has {self.rounds} rounds. Got round {begin.round + 1}.")
        if not 1 <= begin.rounds <= self.epoch_rounds:
            raise ContextMismatchError(
                f"An epoch of this session has up to {self.epoch_rounds} rounds. Got {begin.rounds}."
            )
        self.norm.demand(begin.round, begin.broadcast)
