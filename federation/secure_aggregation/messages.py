"""The five messages that a client sends in one attempt at a round, each of one exact length.

Integers are big-endian, the masked vector little-endian. `docs/secure_aggregation.md` lists sizes and test vectors.
Decoding checks form and context; signatures, keys and shares are still to be checked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from federation.secure_aggregation.errors import MalformedMessageError
from federation.secure_aggregation.framing import (
    HEADER,
    KEY_BYTES,
    SIGNATURE_BYTES,
    demand_length,
    pack,
    pack_entries,
    unpack,
    unpack_entries,
)
from federation.secure_aggregation.sealing import SEALED_BYTES
from federation.secure_aggregation.shamir import SHARE_BYTES, read_share, write_share

ADVERTISED = struct.Struct(f"{KEY_BYTES}s{KEY_BYTES}s{KEY_BYTES}s{SIGNATURE_BYTES}s")


@dataclass(frozen=True)
class Advertise:
    """Message 1: a client's two public keys of this attempt and its commitment to the self mask, signed; 200 bytes."""

    TAG = b"ADV1"
    client: int
    channel_key: bytes
    mask_key: bytes
    commitment: bytes
    signature: bytes = bytes(SIGNATURE_BYTES)

    def signed_part(self, context: bytes) -> bytes:
        """Return what the client's identity key signs: the message without its signature."""
        return self.encode(context)[:-SIGNATURE_BYTES]

    def body(self) -> bytes:
        """Return the 160 bytes after the header."""
        return ADVERTISED.pack(self.channel_key, self.mask_key, self.commitment, self.signature)

    def encode(self, context: bytes) -> bytes:
        """Return the message."""
        return pack(self.TAG, self.client, context, self.body())

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes) -> Advertise:
        """Parse the message of one client in one context."""
        body = unpack(message, cls.TAG, client, context)
        demand_length(body, ADVERTISED.size)
        return cls(client, *ADVERTISED.unpack(body))


@dataclass(frozen=True)
class ShareKeys:
    """Message 2: the sealed shares of the client's two secrets, 86 bytes for each neighbour."""

    TAG = b"SHA2"
    client: int
    sealed: Mapping[int, bytes]

    def encode(self, context: bytes) -> bytes:
        """Return the message."""
        return pack(self.TAG, self.client, context, pack_entries(self.sealed))

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, neighbours: Sequence[int]) -> ShareKeys:
        """Parse the message, which must hold one entry for each neighbour."""
        body = unpack(message, cls.TAG, client, context)
        return cls(client, _complete(body, SEALED_BYTES, neighbours))


@dataclass(frozen=True)
class MaskedInput:
    """Message 3: the masked vector, 4 bytes per coordinate."""

    TAG = b"MSK3"
    client: int
    vector: np.ndarray
    """uint32, shape (D,)."""

    def encode(self, context: bytes) -> bytes:
        """Return the message."""
        return pack(self.TAG, self.client, context, memoryview(self.vector.astype("<u4", copy=False)).cast("B"))

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, dimension: int) -> MaskedInput:
        """Parse the message without a copy: the vector reads the message's own bytes."""
        demand_length(unpack(message, cls.TAG, client, context), 4 * dimension)
        return cls(client, np.frombuffer(message, "<u4", offset=HEADER.size))


@dataclass(frozen=True)
class Confirm:
    """Message 4: the signature over the sets of clients as this one saw them, 104 bytes."""

    TAG = b"CON4"
    client: int
    signature: bytes

    def encode(self, context: bytes) -> bytes:
        """Return the message."""
        return pack(self.TAG, self.client, context, self.signature)

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes) -> Confirm:
        """Parse the message of one client in one context."""
        body = unpack(message, cls.TAG, client, context)
        demand_length(body, SIGNATURE_BYTES)
        return cls(client, bytes(body))


@dataclass(frozen=True)
class Unmask:
    """Message 5: one share for each owner, 37 bytes each; the survivor set says of which of its two secrets."""

    TAG = b"UNM5"
    client: int
    shares: Mapping[int, int] = field(repr=False)

    def encode(self, context: bytes) -> bytes:
        """Return the message."""
        entries = {owner: write_share(share) for owner, share in self.shares.items()}
        return pack(self.TAG, self.client, context, pack_entries(entries))

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, owners: Sequence[int]) -> Unmask:
        """Parse the message, which must hold one share for each owner."""
        body = unpack(message, cls.TAG, client, context)
        entries = _complete(body, SHARE_BYTES, owners)
        return cls(client, {owner: read_share(share) for owner, share in entries.items()})


def _complete(body: memoryview, size: int, clients: Sequence[int]) -> dict[int, bytes]:
    """Return the entries of a body that must have one for each client."""
    entries = unpack_entries(body, size, clients)
    if len(entries) != len(clients):
        raise MalformedMessageError(
            f"The message has one entry for each of {len(clients)} clients. Got {len(entries)}."
        )
    return entries
