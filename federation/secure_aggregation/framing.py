"""How every message begins, and the checks that all of them share: type, length, client, context, order."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence

from federation.secure_aggregation.errors import ContextMismatchError, MalformedMessageError

HEADER = struct.Struct(">4sI32s")
"""Type, roster index of the client at the device's end, context of the attempt: 40 bytes, a multiple of four."""
INDEX = struct.Struct(">I")
KEY_BYTES = 32
SIGNATURE_BYTES = 64


def join(*parts: bytes) -> bytes:
    """Concatenate with lengths, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def digest(*parts: bytes) -> bytes:
    """Return the SHA-256 of a list of parts, 32 bytes."""
    return hashlib.sha256(join(*parts)).digest()


def pack(tag: bytes, client: int, context: bytes, body: bytes | memoryview) -> bytes:
    """Return a message: the header, and the body behind it."""
    return b"".join((HEADER.pack(tag, client, context), body))


def unpack(message: bytes, tag: bytes, client: int, context: bytes) -> memoryview:
    """Return the body of a message after checking its header.

    Raises:
        MalformedMessageError: If it is no bytes, too short, of another type, or speaks of another client.
        ContextMismatchError: If it belongs to another session, round or attempt, or to another broadcast.
    """
    if not isinstance(message, bytes) or len(message) < HEADER.size:
        raise MalformedMessageError(f"A message is `bytes` that begin with a header of {HEADER.size}. This is none.")
    found, owner, seen = HEADER.unpack_from(message)
    if found != tag:
        raise MalformedMessageError(f"This stage takes messages of type {tag.decode()}. Got another type.")
    if seen != context:
        raise ContextMismatchError(
            "A message must carry the context of this session, round, attempt and broadcast. Got another one: it is "
            "old, misrouted, or its sender was given another model."
        )
    if owner != client:
        raise MalformedMessageError(f"A message of client {client} was expected. Got one of client {owner}.")
    return memoryview(message)[HEADER.size :]


def demand_length(body: memoryview, length: int) -> None:
    """Raise MalformedMessageError unless a body has exactly this many bytes."""
    if len(body) != length:
        raise MalformedMessageError(f"The body of this message has {length} bytes. Got {len(body)}.")


def pack_entries(entries: Mapping[int, bytes]) -> bytes:
    """Return entries of one length behind their client's index, in order of the index."""
    return b"".join(INDEX.pack(client) + entries[client] for client in sorted(entries))


def unpack_entries(body: memoryview, size: int, allowed: Sequence[int]) -> dict[int, bytes]:
    """Return the entries of a body by client; some of the allowed clients may be absent.

    Args:
        body: Entries of an index and `size` bytes each.
        size: Bytes of an entry without its index.
        allowed: Clients that may have an entry.

    Raises:
        MalformedMessageError: If bytes are left over, or a client is not allowed, out of order or there twice.
    """
    step = INDEX.size + size
    if len(body) % step or len(body) > step * len(allowed):
        raise MalformedMessageError(f"The body has at most {len(allowed)} entries of {step} bytes. Got {len(body)}.")
    parts = [body[start : start + step] for start in range(0, len(body), step)]
    clients = [INDEX.unpack_from(part)[0] for part in parts]
    if clients != sorted(set(clients)) or not set(clients) <= set(allowed):
        raise MalformedMessageError("Entries are sorted by client, each at most once and each expected. These are not.")
    return {client: bytes(part[INDEX.size :]) for client, part in zip(clients, parts, strict=True)}
