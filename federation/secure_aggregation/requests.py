"""The four messages by which the server opens the stages after the first; every client gets its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.secure_aggregation.errors import MalformedMessageError
from federation.secure_aggregation.framing import (
    SIGNATURE_BYTES,
    demand_length,
    digest,
    pack,
    pack_entries,
    unpack,
    unpack_entries,
)
from federation.secure_aggregation.messages import ADVERTISED, Advertise
from federation.secure_aggregation.sealing import SEALED_BYTES

KEYS = b"PrivFedTalk list of keys v1"
SETS = b"PrivFedTalk transcript v1"


@dataclass(frozen=True)
class KeyList:
    """What everybody advertised, 164 bytes each: U1, the clients of the round, are those who are in it."""

    TAG = b"KEY1"
    advertised: Mapping[int, Advertise]

    def body(self) -> bytes:
        """Return the part that is the same for every client."""
        return pack_entries({client: entry.body() for client, entry in self.advertised.items()})

    def digest(self) -> bytes:
        """Return the hash of the list, which every client signs with the survivor set, 32 bytes."""
        return digest(KEYS, self.body())

    def encode(self, client: int, context: bytes) -> bytes:
        """Return the request to one client."""
        return pack(self.TAG, client, context, self.body())

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, enrolled: int) -> KeyList:
        """Parse the request; `enrolled` is the size of the roster."""
        body = unpack(message, cls.TAG, client, context)
        entries = unpack_entries(body, ADVERTISED.size, range(enrolled))
        return cls({sender: Advertise(sender, *ADVERTISED.unpack(entry)) for sender, entry in entries.items()})


@dataclass(frozen=True)
class SealedShares:
    """The shares sealed for one client, 86 bytes for each neighbour that is still there."""

    TAG = b"SEA2"
    sealed: Mapping[int, bytes]

    def encode(self, client: int, context: bytes) -> bytes:
        """Return the request to one client."""
        return pack(self.TAG, client, context, pack_entries(self.sealed))

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, neighbours: Sequence[int]) -> SealedShares:
        """Parse the request; only neighbours may have sent shares."""
        return cls(unpack_entries(unpack(message, cls.TAG, client, context), SEALED_BYTES, neighbours))


@dataclass(frozen=True)
class SurvivorSets:
    """Two bitmaps over U1 in order: U2, who sent shares, and U3, whose vectors are in the sum."""

    TAG = b"SUR3"
    sharing: frozenset[int]
    survivors: frozenset[int]

    def encode(self, client: int, context: bytes, advertised: Sequence[int]) -> bytes:
        """Return the request to one client; `advertised` is U1 in order."""
        return pack(self.TAG, client, context, self.bitmaps(advertised))

    def bitmaps(self, advertised: Sequence[int]) -> bytes:
        """Return both sets as bits, the first client in the lowest bit of the first byte."""
        return _bits(self.sharing, advertised) + _bits(self.survivors, advertised)

    def transcript(self, context: bytes, key_list: KeyList) -> bytes:
        """Return the hash of what must look the same to all clients before one of them opens a share, 32 bytes."""
        return digest(SETS, context, key_list.digest(), self.bitmaps(sorted(key_list.advertised)))

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, advertised: Sequence[int]) -> SurvivorSets:
        """Parse the request; bits beyond the last client must be zero."""
        body = unpack(message, cls.TAG, client, context)
        length = (len(advertised) + 7) // 8
        demand_length(body, 2 * length)
        return cls(_members(body[:length], advertised), _members(body[length:], advertised))


@dataclass(frozen=True)
class Confirmations:
    """The signatures over the survivor sets by one client's neighbours, 68 bytes each."""

    TAG = b"SIG4"
    signatures: Mapping[int, bytes]

    def encode(self, client: int, context: bytes) -> bytes:
        """Return the request to one client."""
        return pack(self.TAG, client, context, pack_entries(self.signatures))

    @classmethod
    def decode(cls, message: bytes, client: int, context: bytes, neighbours: Sequence[int]) -> Confirmations:
        """Parse the request; only surviving neighbours may have signed."""
        return cls(unpack_entries(unpack(message, cls.TAG, client, context), SIGNATURE_BYTES, neighbours))


def _bits(members: frozenset[int], advertised: Sequence[int]) -> bytes:
    number = sum(1 << place for place, client in enumerate(advertised) if client in members)
    return number.to_bytes((len(advertised) + 7) // 8, "little")


def _members(bits: memoryview, advertised: Sequence[int]) -> frozenset[int]:
    number = int.from_bytes(bits, "little")
    if number >> len(advertised):
        raise MalformedMessageError(f"A set over {len(advertised)} clients has no further bits. This one has.")
    return frozenset(client for place, client in enumerate(advertised) if number >> place & 1)
