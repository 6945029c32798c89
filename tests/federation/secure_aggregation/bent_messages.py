"""Messages that no honest client sends, each with the error that the server must refuse them with."""

from __future__ import annotations

from dataclasses import replace

from federation.secure_aggregation import errors
from federation.secure_aggregation.framing import INDEX
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.sealing import SEALED_BYTES
from federation.secure_aggregation.shamir import PRIME, SHARE_BYTES
from federation.secure_aggregation.signing import sign_advertised
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.bending import VICTIM, Change, Table, flip_last, number_first, on_entries
from tests.federation.secure_aggregation.parties import Parties, identity

SHARES = SEALED_BYTES


def bad_keys(client: int, **changes: bytes) -> Change:
    """Return the change of a client's own keys, signed by itself."""

    def change(parties: Parties, message: bytes) -> bytes:
        context = parties.server._own.context
        entry = replace(Advertise.decode(message, client, context), **changes)
        return sign_advertised(entry, identity(parties.names[client]), context).encode(context)

    return change


def copy_first_client(parties: Parties, message: bytes) -> bytes:
    return bad_keys(VICTIM, channel_key=parties.clients[parties.names[0]]._attempt._channel.public)(parties, message)


def later_message(parties: Parties, message: bytes) -> bytes:
    return b"UNM5" + message[4:]


def big_share(entries: list[bytes]) -> list[bytes]:
    return [entries[0][:4] + PRIME.to_bytes(SHARE_BYTES, "big"), *entries[1:]]


FROM_CLIENT: dict[Stage, Table] = {
    Stage.ADVERTISE: {
        "a forged signature": (flip_last, errors.InvalidSignatureError),
        "a channel key of low order": (bad_keys(VICTIM, channel_key=bytes(32)), errors.InvalidPublicKeyError),
        "a mask key of low order": (bad_keys(VICTIM, mask_key=bytes(31) + b"\x80"), errors.InvalidPublicKeyError),
        "a mask key with bit 255 set": (
            bad_keys(VICTIM, mask_key=bytes([9]) + bytes(30) + b"\x80"),
            errors.InvalidPublicKeyError,
        ),
        "a key of another client": (copy_first_client, errors.InvalidPublicKeyError),
        "a message of a later stage": (later_message, errors.OrderError),
    },
    Stage.SHARE_KEYS: {
        "no shares for one neighbour": (on_entries(SHARES, lambda e: e[:-1]), errors.MalformedMessageError),
        "shares for one neighbour twice": (
            on_entries(SHARES, lambda e: [*e[:-1], e[-2]]),
            errors.MalformedMessageError,
        ),
        "shares for itself": (
            on_entries(SHARES, lambda e: [e[0], *number_first(VICTIM)(e[1:])]),
            errors.MalformedMessageError,
        ),
        "shares for nobody enrolled": (
            on_entries(SHARES, lambda e: [*e[:-1], INDEX.pack(99) + e[-1][4:]]),
            errors.MalformedMessageError,
        ),
        "a message of a later stage": (later_message, errors.OrderError),
    },
    Stage.MASK_INPUT: {
        "one coordinate short": (lambda parties, message: message[:-4], errors.MalformedMessageError),
        "one coordinate more": (lambda parties, message: message + bytes(4), errors.MalformedMessageError),
        "a message of a later stage": (later_message, errors.OrderError),
    },
    Stage.CONFIRM: {
        "a forged signature": (flip_last, errors.InvalidSignatureError),
        "a message of a later stage": (later_message, errors.OrderError),
    },
    Stage.UNMASK: {
        "one share short": (on_entries(SHARE_BYTES, lambda e: e[:-1]), errors.MalformedMessageError),
        "two shares of one owner": (
            on_entries(SHARE_BYTES, lambda e: [e[0], e[0], *e[2:]]),
            errors.MalformedMessageError,
        ),
        "one share more": (on_entries(SHARE_BYTES, lambda e: [*e, e[-1]]), errors.MalformedMessageError),
        "a share not below the prime": (on_entries(SHARE_BYTES, big_share), errors.MalformedMessageError),
        "shares not in order": (on_entries(SHARE_BYTES, lambda e: [e[1], e[0], *e[2:]]), errors.MalformedMessageError),
    },
}
