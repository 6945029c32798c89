"""Requests that no honest server sends, each with the error that a client must end the round with."""

from __future__ import annotations

import struct
from dataclasses import replace

from federation.secure_aggregation import errors
from federation.secure_aggregation.framing import HEADER, INDEX, SIGNATURE_BYTES
from federation.secure_aggregation.keys import FIELD_PRIME
from federation.secure_aggregation.messages import ADVERTISED, Advertise
from federation.secure_aggregation.sealing import SEALED_BYTES
from federation.secure_aggregation.signing import sign_advertised, sign_sets
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.bending import (
    OTHER,
    THIRD,
    VICTIM,
    Change,
    Table,
    entries_of,
    flip_first,
    flip_last,
    number_first,
    on_entries,
    swap_bodies,
)
from tests.federation.secure_aggregation.parties import Parties, identity


def resigned(position: int, **changes: bytes) -> Change:
    """Return the change of a colluder's keys in the list, signed by the colluder itself."""

    def change(parties: Parties, message: bytes) -> bytes:
        entries = entries_of(message, ADVERTISED.size)
        context = parties.server._own.context
        entry = replace(Advertise(position, *ADVERTISED.unpack(entries[position][4:])), **changes)
        entry = sign_advertised(entry, identity(parties.names[position]), context)
        entries[position] = INDEX.pack(position) + entry.body()
        return message[: HEADER.size] + b"".join(entries)

    return change


def copy_key(parties: Parties, message: bytes) -> bytes:
    entries = entries_of(message, ADVERTISED.size)
    return resigned(OTHER, mask_key=Advertise(THIRD, *ADVERTISED.unpack(entries[THIRD][4:])).mask_key)(parties, message)


def both_keys_alike(parties: Parties, message: bytes) -> bytes:
    entry = Advertise(OTHER, *ADVERTISED.unpack(entries_of(message, ADVERTISED.size)[OTHER][4:]))
    return resigned(OTHER, mask_key=entry.channel_key)(parties, message)


def own_keys_resigned(parties: Parties, message: bytes) -> bytes:
    return resigned(VICTIM, commitment=bytes(32))(parties, message)


LOW_ORDER = 325606250916557431795983626356110631294008115727848805560023387167927233504
KEYS, SHARES, SIGNATURES = ADVERTISED.size, SEALED_BYTES, SIGNATURE_BYTES
KEY_LIST: Table = {
    "own keys missing": (on_entries(KEYS, lambda e: [*e[:VICTIM], *e[VICTIM + 1 :]]), errors.MalformedMessageError),
    "own keys changed": (own_keys_resigned, errors.MalformedMessageError),
    "keys of two clients swapped": (
        on_entries(KEYS, lambda e: [*e[:3], *swap_bodies(e[3:])]),
        errors.InvalidSignatureError,
    ),
    "a key changed on the way": (on_entries(KEYS, flip_first), errors.InvalidSignatureError),
    "a signature changed": (
        on_entries(KEYS, lambda e: [*e[:-1], flip_last(None, e[-1])]),
        errors.InvalidSignatureError,
    ),
    "a channel key of low order": (resigned(OTHER, channel_key=bytes(32)), errors.InvalidPublicKeyError),
    "a mask key of low order": (
        resigned(OTHER, mask_key=LOW_ORDER.to_bytes(32, "little")),
        errors.InvalidPublicKeyError,
    ),
    "a key with a second spelling": (
        resigned(OTHER, channel_key=(FIELD_PRIME + 5).to_bytes(32, "little")),
        errors.InvalidPublicKeyError,
    ),
    "a key with bit 255 set": (
        resigned(OTHER, mask_key=(2**255 + 9).to_bytes(32, "little")),
        errors.InvalidPublicKeyError,
    ),
    "a key of another client": (copy_key, errors.InvalidPublicKeyError),
    "one key for two purposes": (both_keys_alike, errors.InvalidPublicKeyError),
    "a client twice": (on_entries(KEYS, lambda e: [*e[:-1], e[-2]]), errors.MalformedMessageError),
    "not in order": (on_entries(KEYS, lambda e: [e[1], e[0], *e[2:]]), errors.MalformedMessageError),
    "a client not enrolled": (
        on_entries(KEYS, lambda e: [*e[:-1], INDEX.pack(99) + e[-1][4:]]),
        errors.MalformedMessageError,
    ),
    "too few clients": (on_entries(KEYS, lambda e: e[:3]), errors.TooFewClientsError),
}
SEALED: Table = {
    "a share changed": (on_entries(SHARES, flip_first), errors.SealError),
    "shares of two senders swapped": (on_entries(SHARES, swap_bodies), errors.SealError),
    "shares of a sender twice": (on_entries(SHARES, lambda e: [e[0], e[0], *e[1:]]), errors.MalformedMessageError),
    "shares from the client itself": (
        on_entries(SHARES, lambda e: [e[0], INDEX.pack(VICTIM) + e[1][4:], *e[2:]]),
        errors.MalformedMessageError,
    ),
    "shares from nobody enrolled": (
        on_entries(SHARES, lambda e: [*e[:-1], INDEX.pack(99) + e[-1][4:]]),
        errors.MalformedMessageError,
    ),
    "shares under another sender's name": (
        on_entries(SHARES, lambda e: [e[0], *number_first(2)(e[2:])]),
        errors.SealError,
    ),
    "shares not in order": (on_entries(SHARES, lambda e: [e[1], e[0], *e[2:]]), errors.MalformedMessageError),
    "too few senders": (on_entries(SHARES, lambda e: e[:1]), errors.TooFewClientsError),
    "one byte of an entry missing": (on_entries(SHARES, lambda e: [e[0][:-1], *e[1:]]), errors.MalformedMessageError),
}


def sets(sharing: int, survivors: int) -> Change:
    """Return the change of both bitmaps."""
    return lambda parties, message: message[: HEADER.size] + struct.pack("BB", sharing, survivors)


SURVIVORS: Table = {
    "the client itself missing": (sets(0b11111, 0b11101), errors.SurvivorSetError),
    "a survivor that shared nothing": (sets(0b01111, 0b11111), errors.SurvivorSetError),
    "a sharer whose shares never came": (sets(0b11111, 0b11111), errors.SurvivorSetError),
    "a sharer denied": (sets(0b10111, 0b10111), errors.SurvivorSetError),
    "too few for the noise": (sets(0b01111, 0b00111), errors.TooFewClientsError),
    "a bit beyond the last client": (sets(0b101111, 0b01111), errors.MalformedMessageError),
    "a survivor beyond the last client": (sets(0b01111, 0b1001111), errors.MalformedMessageError),
    "one bitmap only": (lambda parties, message: message[:-1], errors.MalformedMessageError),
}


def other_sets(survivors: frozenset[int]) -> Change:
    """Return the change of a colluder's signature to one over other sets."""

    def change(parties: Parties, message: bytes) -> bytes:
        own = parties.server._own
        transcript = replace(own._sets, survivors=survivors).transcript(own.context, own._key_list)
        entries = entries_of(message, SIGNATURES)
        signature = sign_sets(transcript, identity(parties.names[INDEX.unpack_from(entries[0])[0]]))
        return message[: HEADER.size] + entries[0][:4] + signature + b"".join(entries[1:])

    return change


CONFIRMATIONS: Table = {
    "a signature changed on the way": (on_entries(SIGNATURES, flip_first), errors.InvalidSignatureError),
    "signatures of two clients swapped": (on_entries(SIGNATURES, swap_bodies), errors.InvalidSignatureError),
    "a signature over fewer survivors": (other_sets(frozenset({0, 1, 2})), errors.InvalidSignatureError),
    "one signature twice": (on_entries(SIGNATURES, lambda e: [e[0], e[0], *e[1:]]), errors.MalformedMessageError),
    "own signature echoed": (
        on_entries(SIGNATURES, lambda e: [e[0], *number_first(VICTIM)(e[1:])]),
        errors.MalformedMessageError,
    ),
    "a signature of who dropped out": (
        on_entries(SIGNATURES, lambda e: [*e[:-1], INDEX.pack(THIRD) + e[-1][4:]]),
        errors.MalformedMessageError,
    ),
    "too few signatures": (on_entries(SIGNATURES, lambda e: e[:1]), errors.TooFewClientsError),
    "no signature": (on_entries(SIGNATURES, lambda e: []), errors.TooFewClientsError),
}


TO_CLIENT: dict[Stage, Table] = {
    Stage.SHARE_KEYS: KEY_LIST,
    Stage.MASK_INPUT: SEALED,
    Stage.CONFIRM: SURVIVORS,
    Stage.UNMASK: CONFIRMATIONS,
}
