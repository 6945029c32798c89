"""What all parties agree on before the first round, and what ties a message to one attempt at one round of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federation.secure_aggregation.errors import InvalidSignatureError, SessionError
from federation.secure_aggregation.framing import KEY_BYTES, digest, join
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.thresholds import Adversary, Neighbourhood, is_safe, plan_neighbourhood

SESSION = b"PrivFedTalk session v1"
CONTEXT = b"PrivFedTalk attempt v1"
LATER = b"PrivFedTalk later round v1"


@dataclass(frozen=True)
class SessionConfig:
    """The numbers of a session. One that is unsafe cannot be made.

    Raises:
        SessionError: If a number is out of range, or the threshold can be broken by what the adversary may do.
    """

    dimension: int
    """D: coordinates of every vector."""
    clients: int
    """n: clients of a round at most."""
    colluders: int
    """c_max: clients that may tell the server all they know."""
    honest: int
    """n_min: honest survivors whose noise the guarantee counts on."""
    adversary: Adversary
    """What the server may do besides looking."""
    neighbours: int
    """k: n - 1 on the complete graph."""
    threshold: int
    """t: shares that open a secret."""
    digest: bytes
    """SHA-256 of everything else that is signed: training, clip rule, noise."""

    def __post_init__(self) -> None:
        if self.dimension < 1 or self.honest < 1 or not 0 <= self.colluders <= self.clients - self.honest:
            raise SessionError(
                "A session needs a coordinate, an honest survivor, and no more clients than the cohort has. Got "
                f"D={self.dimension}, n={self.clients}, c_max={self.colluders}, n_min={self.honest}."
            )
        if len(self.digest) != KEY_BYTES:
            raise SessionError(f"The digest of the other settings has {KEY_BYTES} bytes. Got {len(self.digest)}.")
        plan = Neighbourhood(self.neighbours, self.threshold)
        if not is_safe(plan, self.clients, self.colluders, self.least_survivors, self.adversary):
            raise SessionError(
                f"A threshold of {self.threshold} among {self.neighbours} neighbours is unsafe with {self.clients} "
                f"clients, {self.colluders} colluders and a server that is {self.adversary}. Let `SessionConfig.plan` "
                "choose."
            )

    @classmethod
    def plan(
        cls, dimension: int, clients: int, colluders: int, honest: int, adversary: Adversary, digest: bytes
    ) -> SessionConfig:
        """Return the configuration with the fewest neighbours that are safe; arguments as the fields."""
        chosen = plan_neighbourhood(clients, colluders, honest + colluders, adversary)
        return cls(dimension, clients, colluders, honest, adversary, chosen.neighbours, chosen.threshold, digest)

    @property
    def graph(self) -> str:
        """Return `complete` or `harary`."""
        return "complete" if self.neighbours == self.clients - 1 else "harary"

    @property
    def least_survivors(self) -> int:
        """Return the fewest vectors a released sum may have: colluders add no noise, so they come on top."""
        return self.honest + self.colluders

    @property
    def least_clients(self) -> int:
        """Return the fewest clients with whom a stage may go on."""
        return max(self.least_survivors, self.threshold)

    def to_bytes(self) -> bytes:
        """Return what the session's id covers."""
        numbers = (self.dimension, self.clients, self.colluders, self.honest, self.neighbours, self.threshold)
        return join(self.adversary.encode(), *(number.to_bytes(8, "big") for number in numbers), self.digest)


@dataclass(frozen=True)
class Session:
    """A roster and a configuration, signed together with a nonce by the roster's offline key."""

    roster: Roster
    config: SessionConfig
    nonce: bytes
    """32 bytes, fresh for every session."""
    signature: bytes
    """By the offline key over the id."""

    def __post_init__(self) -> None:
        enrolled, clients = len(self.roster.clients), self.config.clients
        if len(self.nonce) != KEY_BYTES:
            raise SessionError(f"The nonce of a session has {KEY_BYTES} bytes. Got {len(self.nonce)}.")
        if clients > enrolled or (self.config.adversary == "active" and clients != enrolled):
            raise SessionError(
                f"Against an active server the cohort is the whole roster ({enrolled} clients): it could choose the "
                f"colluders among more. Got a cohort of {clients}. Sign a roster for each cohort."
            )

    @classmethod
    def sign(cls, roster: Roster, config: SessionConfig, nonce: bytes, authority: Ed25519PrivateKey) -> Session:
        """Return the session, signed by the offline key."""
        unsigned = cls(roster, config, nonce, b"")
        return cls(roster, config, nonce, authority.sign(unsigned.id))

    def verify(self, authority: Ed25519PublicKey) -> None:
        """Raise InvalidSignatureError unless the pinned offline key signed both the roster and this session."""
        self.roster.verify(authority)
        try:
            authority.verify(self.signature, self.id)
        except InvalidSignature:
            raise InvalidSignatureError("The session is not signed by the key pinned on this device.") from None

    @cached_property
    def id(self) -> bytes:
        """Return 32 bytes that no other roster, configuration or nonce gives."""
        return digest(SESSION, self.roster.to_bytes(), self.config.to_bytes(), self.nonce)

    def context(self, round: int, attempt: int, broadcast: bytes, base: bytes | None = None) -> bytes:
        """Return what every message of one attempt carries and every key of it depends on, 32 bytes.

        Args:
            round: From 0.
            attempt: From 0; rises whenever the round is tried again.
            broadcast: What must be the same for all clients: global adapter, clip norm, head of the ledger, and,
                on devices of their own, the time to train.
            base: `later_context` where the keys were agreed on in an earlier round; the session's id if not given.
        """
        if not (0 <= round < 2**32 and 0 <= attempt < 2**32):
            raise SessionError(f"Rounds and attempts lie in [0, 2^32). Got {round} and {attempt}.")
        numbers = round.to_bytes(4, "big") + attempt.to_bytes(4, "big")
        return digest(CONTEXT, base or self.id, numbers, digest(broadcast))


def later_context(first: bytes, round: int) -> bytes:
    """Return what the keys of a later round of an epoch are bound to when they are made, 32 bytes.

    The attempt that will use them is not known then, nor is its broadcast.

    Args:
        first: Context of the epoch's first attempt: it stands for session, round, attempt and broadcast.
        round: The later one.
    """
    return digest(LATER, first, round.to_bytes(4, "big"))
