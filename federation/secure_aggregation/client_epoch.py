"""What one client knows of an epoch: secrets for each of its rounds, agreed on at once, and none like another."""

from __future__ import annotations

from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.key_source import KeySource
from federation.secure_aggregation.bundles import bundle, unbundle
from federation.secure_aggregation.client_attempt import ClientAttempt
from federation.secure_aggregation.errors import OrderError
from federation.secure_aggregation.memory import Position
from federation.secure_aggregation.session import Session, later_context


class ClientEpoch:
    """An attempt at a round, and the secrets of the rounds after it, each of which will serve one attempt.

    An epoch of one round is that attempt alone. No secret is derived from another or kept longer than its own round:
    one key for several rounds would open all of them with a single claimed dropout.

    Args:
        client: The client's name.
        identity: Its Ed25519 key.
        session: Agreed before the first round.
        position: Round and attempt with which the epoch begins.
        context: Of that attempt.
        keys: Source of all secrets.
        rounds: Of the epoch.
    """

    def __init__(
        self,
        client: str,
        identity: Ed25519PrivateKey,
        session: Session,
        position: Position,
        context: bytes,
        keys: KeySource,
        rounds: int,
    ) -> None:
        own = partial(ClientAttempt, client, identity, session)
        stream = partial(keys.stream, client, *position)
        self.session = session
        self.current: ClientAttempt | None = own(context, stream)
        """The attempt in progress; None once it is over or given up."""
        self.entered = context
        """Context of the latest attempt."""
        first = position[0] + 1
        self._setups = {later: later_context(context, later) for later in range(first, first + rounds - 1)}
        self._later = {
            later: own(setup, lambda purpose, later=later: stream(f"{purpose} of round {later}"))
            for later, setup in self._setups.items()
        }

    def advertise(self) -> bytes:
        """Return the first message, for all rounds."""
        return bundle(own.advertise() for own in self._all)

    def share_keys(self, request: bytes) -> bytes:
        """Return the second message, for all rounds."""
        parts = unbundle(request, len(self._all))
        return bundle(own.share_keys(part) for own, part in zip(self._all, parts, strict=True))

    def context(self, round: int, attempt: int, broadcast: bytes) -> bytes:
        """Return the context of an attempt at a later round; raises OrderError if the epoch has no such round."""
        if round not in self._setups:
            raise OrderError(f"The epoch has no keys for round {round}. Wait for the next one.")
        return self.session.context(round, attempt, broadcast, self._setups[round])

    def demand(self, round: int) -> None:
        """Raise OrderError if the keys of a round have served."""
        if round not in self._later:
            raise OrderError(f"The epoch's keys for round {round} have served. Wait for the next one.")

    def enter(self, round: int, context: bytes) -> None:
        """Begin the one attempt that a round's keys serve, and forget those of all rounds before it."""
        self.current = self._later[round]
        self._later = {later: own for later, own in self._later.items() if later > round}
        self.current.context = self.entered = context

    @property
    def _all(self) -> list[ClientAttempt]:
        return [self.current, *self._later.values()]
