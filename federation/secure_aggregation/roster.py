"""Who may take part: names and identity keys, signed by a key that no server holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federation.secure_aggregation.errors import InvalidSignatureError, SessionError
from federation.secure_aggregation.framing import KEY_BYTES, join

ROSTER = b"PrivFedTalk roster v1"
LONGEST_NAME = 255


@dataclass(frozen=True)
class Roster:
    """The enrolled clients in order of their names; a client's index in it is its number in every message.

    Who signs it decides who counts as a person. Enrolling invented clients is the one attack that no threshold stops,
    so the key stays offline, apart from the server, and devices refuse a roster that changed too much.
    """

    clients: tuple[str, ...]
    """Names, sorted, 1 to 255 bytes of UTF-8 each."""
    identities: tuple[bytes, ...]
    """Ed25519 public keys (RFC 8032), 32 bytes each, in the same order."""
    edition: int
    """Rises with every change, so that an old roster cannot come back."""
    signature: bytes
    """By the offline key over `to_bytes()`, 64 bytes."""

    def __post_init__(self) -> None:
        names = [name.encode() for name in self.clients]
        if not names or list(self.clients) != sorted(set(self.clients)) or len(names) != len(self.identities):
            raise SessionError("A roster has sorted, distinct names and one key for each. This one has not.")
        if not all(1 <= len(name) <= LONGEST_NAME for name in names):
            raise SessionError(f"Names have 1 to {LONGEST_NAME} bytes of UTF-8. One of the roster has not.")
        if len(set(self.identities)) != len(names) or {len(key) for key in self.identities} != {KEY_BYTES}:
            raise SessionError(f"Every client has an identity key of {KEY_BYTES} bytes of its own. One has not.")
        if not 0 <= self.edition < 2**64:
            raise SessionError(f"The edition of a roster is at least 0. Got {self.edition}.")

    @classmethod
    def sign(cls, identities: Mapping[str, Ed25519PublicKey], authority: Ed25519PrivateKey, edition: int = 0) -> Roster:
        """Return the roster of these clients, signed by the offline key."""
        clients = tuple(sorted(identities))
        keys = tuple(identities[client].public_bytes_raw() for client in clients)
        unsigned = cls(clients, keys, edition, b"")
        return cls(clients, keys, edition, authority.sign(unsigned.to_bytes()))

    def to_bytes(self) -> bytes:
        """Return what the signature covers."""
        names = (client.encode() for client in self.clients)
        return join(ROSTER, self.edition.to_bytes(8, "big"), *names, *self.identities)

    def verify(self, authority: Ed25519PublicKey) -> None:
        """Raise InvalidSignatureError unless the pinned offline key signed this roster."""
        try:
            authority.verify(self.signature, self.to_bytes())
        except InvalidSignature:
            raise InvalidSignatureError("The roster is not signed by the key pinned on this device.") from None

    def demand_small_change(self, known: Roster, growth: float) -> None:
        """Refuse a roster that brings too many new clients; a changed key counts as a new client.

        Args:
            known: The last roster this device accepted.
            growth: Largest number of new clients, as a share of the known ones.

        Raises:
            SessionError: If the roster is older, or brings more.
        """
        if self.edition < known.edition or (self.edition == known.edition and self.to_bytes() != known.to_bytes()):
            raise SessionError(f"A roster later than edition {known.edition} was expected. Got {self.edition}.")
        new = len(self._entries - known._entries)
        if new > growth * len(known.clients):
            raise SessionError(
                f"The roster has {new} new clients beside {len(known.clients)} known ones; this device accepts "
                f"{growth:.0%} at once. Invented clients could unmask it: ask its owner."
            )

    def index(self, client: str) -> int:
        """Return a client's number.

        Raises:
            SessionError: If the client is not enrolled.
        """
        if client not in self._indices:
            raise SessionError(f"{client!r} is not in the roster of {len(self.clients)} clients. Enrol it first.")
        return self._indices[client]

    def verifier(self, index: int) -> Ed25519PublicKey:
        """Return the identity key of a client by its number."""
        return self._verifiers[index]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {client: index for index, client in enumerate(self.clients)}

    @cached_property
    def _verifiers(self) -> tuple[Ed25519PublicKey, ...]:
        return tuple(Ed25519PublicKey.from_public_bytes(key) for key in self.identities)

    @property
    def _entries(self) -> set[tuple[str, bytes]]:
        return set(zip(self.clients, self.identities, strict=True))
