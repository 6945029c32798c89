"""Searches what a party says aloud, in errors and log records, for what it must keep to itself."""

from __future__ import annotations

import base64
import traceback

from federation.key_source import SeededKeys
from federation.secure_aggregation.shamir import split
from tests.federation.secure_aggregation.parties import Parties, identity

SEED = 3


def secrets_of(parties: Parties) -> list[bytes]:
    """Return every secret of the seeded clients in this round's attempts: keys, self masks, shares and vectors."""
    found = []
    for name in parties.names:
        found += [identity(name).private_bytes_raw(), parties.vectors[name].tobytes()]
        for attempt in range(parties.attempt + 1):
            found += _secrets_of_attempt(parties, name, attempt)
    return found


def spellings(secret: bytes) -> list[str]:
    """Return the ways a secret could be written in a text."""
    words = [
        secret.hex(),
        secret.hex().upper(),
        repr(secret)[2:-1],
        secret.decode("latin-1"),
        secret.decode("utf-8", "replace"),
    ]
    numbers = [str(int.from_bytes(secret, "big")), str(int.from_bytes(secret, "little")), repr(list(secret))]
    return [*words, *numbers, base64.b64encode(secret).decode(), f"{int.from_bytes(secret, 'big'):x}"]


def leaked(text: str, secrets: list[bytes]) -> bool:
    """Whether a text holds any secret in any spelling, or eight bytes of one in hexadecimal."""
    whole = any(spelling in text for secret in secrets for spelling in spellings(secret))
    lowered = text.lower()
    return whole or any(secret[start : start + 8].hex() in lowered for secret in secrets for start in range(0, 25, 8))


def said(error: BaseException) -> str:
    """Return all that an error tells: its own text and those of its causes, with the traceback."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)


def _secrets_of_attempt(parties: Parties, name: str, attempt: int) -> list[bytes]:
    keys, at = SeededKeys(SEED), (name, parties.round, attempt)
    pairs = [keys.stream(*at, purpose).bytes(32) for purpose in ("channel", "mask", "self mask")]
    coefficients, threshold = keys.stream(*at, "shares"), parties.session.config.threshold
    points = [index + 1 for index in range(len(parties.names))]
    shares = [split(secret, threshold, points, coefficients) for secret in (pairs[2], pairs[1])]
    return [*pairs, *(share.to_bytes(33, "big") for dealt in shares for share in dealt.values())]
