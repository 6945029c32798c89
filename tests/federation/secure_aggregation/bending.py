"""Ways to bend a message's bytes, those that fit every message among them."""

from __future__ import annotations

from collections.abc import Callable

from federation.secure_aggregation import errors
from federation.secure_aggregation.framing import HEADER, INDEX
from tests.federation.secure_aggregation.parties import Parties

VICTIM, OTHER, THIRD = 1, 3, 4
Change = Callable[[Parties, bytes], bytes]
Table = dict[str, tuple[Change, type[errors.ProtocolError]]]


def cut(parties: Parties, message: bytes) -> bytes:
    return message[:-1]


def lengthen(parties: Parties, message: bytes) -> bytes:
    return message + b"\0"


def empty(parties: Parties, message: bytes) -> bytes:
    return b""


def shorten_header(parties: Parties, message: bytes) -> bytes:
    return message[: HEADER.size - 1]


def change_type(parties: Parties, message: bytes) -> bytes:
    return b"XXX0" + message[4:]


def readdress(parties: Parties, message: bytes) -> bytes:
    return message[:4] + INDEX.pack(OTHER) + message[8:]


def change_context(parties: Parties, message: bytes) -> bytes:
    return message[:8] + bytes([message[8] ^ 1]) + message[9:]


def with_context(broadcast: bytes = b"", round: int = 0, attempt: int = 0) -> Change:
    """Return the change to the context of another broadcast, round or attempt."""

    def change(parties: Parties, message: bytes) -> bytes:
        context = parties.session.context(round, attempt, broadcast or parties.broadcast)
        return message[:8] + context + message[HEADER.size :]

    return change


def make_array(parties: Parties, message: bytes) -> bytes:
    return bytearray(message)  # type: ignore[return-value]


def flip_last(parties: Parties, message: bytes) -> bytes:
    return message[:-1] + bytes([message[-1] ^ 1])


def entries_of(message: bytes, size: int) -> list[bytes]:
    """Return the entries of a message with their index, `size` bytes each without it."""
    body, step = message[HEADER.size :], INDEX.size + size
    return [body[start : start + step] for start in range(0, len(body), step)]


def on_entries(size: int, change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """Return the change of a message's list of entries."""
    return lambda parties, message: message[: HEADER.size] + b"".join(change(entries_of(message, size)))


def swap_bodies(entries: list[bytes]) -> list[bytes]:
    return [entries[0][:4] + entries[1][4:], entries[1][:4] + entries[0][4:], *entries[2:]]


def flip_first(entries: list[bytes]) -> list[bytes]:
    return [entries[0][:9] + bytes([entries[0][9] ^ 1]) + entries[0][10:], *entries[1:]]


def number_first(index: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda entries: [INDEX.pack(index) + entries[0][4:], *entries[1:]]


GENERIC: Table = {
    "one byte short": (cut, errors.MalformedMessageError),
    "one byte more": (lengthen, errors.MalformedMessageError),
    "empty": (empty, errors.MalformedMessageError),
    "no whole header": (shorten_header, errors.MalformedMessageError),
    "another type": (change_type, errors.MalformedMessageError),
    "of another client": (readdress, errors.MalformedMessageError),
    "context changed": (change_context, errors.ContextMismatchError),
    "of the next round": (with_context(round=1), errors.ContextMismatchError),
    "of another attempt": (with_context(attempt=1), errors.ContextMismatchError),
    "of another broadcast": (with_context(b"another model"), errors.ContextMismatchError),
    "not bytes": (make_array, errors.MalformedMessageError),
}
