"""Key pairs of one attempt at one round, from which every two clients derive what only they know."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import InvalidPublicKeyError

FIELD_PRIME = 2**255 - 19


@dataclass(frozen=True)
class KeyPair:
    """An X25519 key pair (RFC 7748) for one client, round and attempt; never use it twice."""

    private: X25519PrivateKey
    public: bytes
    """32 bytes, sent to every other client of the cohort."""

    @classmethod
    def generate(cls, stream: KeyStream) -> KeyPair:
        """Return a fresh pair from the next 32 bytes of a stream."""
        return cls.from_private(stream.bytes(32))

    @classmethod
    def from_private(cls, private_bytes: bytes) -> KeyPair:
        """Return the pair of 32 private bytes, e.g. those that the shares of a dropped client give back."""
        private = X25519PrivateKey.from_private_bytes(private_bytes)
        return cls(private, private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        """Show the public half only."""
        return f"KeyPair(public={self.public.hex()})"

    def shared_secret(self, public: bytes) -> bytes:
        """Return the 32 bytes that this client and the owner of `public` have in common.

        Raises:
            InvalidPublicKeyError: If the key is malformed or of low order (its secrets are known to everybody).
        """
        demand_public_key(public)
        try:
            return self.private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise InvalidPublicKeyError("A public key has low order: its shared secret would be zero.") from error


def demand_distinct(publics: Collection[bytes]) -> None:
    """Raise InvalidPublicKeyError if a key is there twice."""
    if len(set(publics)) != len(publics):
        raise InvalidPublicKeyError("The same public key was sent twice.")


def demand_sound(public: bytes) -> None:
    """Raise InvalidPublicKeyError if a key is malformed or of low order; for a caller without a key pair."""
    _ANY.shared_secret(public)


def demand_public_key(public: bytes) -> None:
    """Raise InvalidPublicKeyError unless the key is 32 bytes and the canonical encoding of its number.

    X25519 itself ignores bit 255 and reduces modulo the prime, so that one key would have several spellings.
    """
    if len(public) != 32:
        raise InvalidPublicKeyError(f"A public key has 32 bytes. Got {len(public)}.")
    if int.from_bytes(public, "little") >= FIELD_PRIME:
        raise InvalidPublicKeyError("A public key is not in canonical form (bit 255 set, or not below 2^255 - 19).")


_ANY = KeyPair.from_private(bytes(32))
"""With any private key a public one of low order gives zero; this one is nobody's."""
