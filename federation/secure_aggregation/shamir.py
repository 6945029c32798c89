"""Shamir's secret sharing of 32-byte secrets over the integers modulo p = 2^256 + 297 (Shamir 1979).

A secret is the value at 0 of a random polynomial of degree t - 1; a share is its value at a client's x. Any t shares
give the secret, fewer say nothing. Python's integers take time that depends on their value: a program on the same
machine that measures it is not guarded against.
"""

from __future__ import annotations

from collections.abc import Sequence

from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import MalformedMessageError, ShareError

PRIME = 2**256 + 297
SECRET_BYTES = 32
SHARE_BYTES = 33


def split(secret: bytes, threshold: int, points: Sequence[int], stream: KeyStream) -> dict[int, int]:
    """Return a share for each point, of which any `threshold` give the secret back.

    Coefficients are uniform below 2^256, within 2^-247 of uniform below p.

    Args:
        secret: 32 bytes.
        threshold: t, in [1, number of points].
        points: Distinct x in [1, p): index in the roster plus one. Never 0, where the secret itself lies.
        stream: Secret randomness for the coefficients.
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= len(points):
        raise ValueError(f"A secret has {SECRET_BYTES} bytes and a threshold of 1 to {len(points)}. Got {threshold}.")
    if len(set(points)) != len(points) or not all(0 < point < PRIME for point in points):
        raise ValueError("The points of shares are distinct, positive and below the prime. These are not.")
    drawn = stream.bytes(SECRET_BYTES * (threshold - 1))
    starts = range(0, len(drawn), SECRET_BYTES)
    coefficients = [int.from_bytes(drawn[start : start + SECRET_BYTES], "big") for start in starts]
    return {point: _evaluate([*coefficients, int.from_bytes(secret, "big")], point) for point in points}


def lagrange_weights(points: Sequence[int], at: int = 0) -> list[int]:
    """Return the weight of each point's share in the polynomial's value at `at`, by one inversion for all points."""
    denominators = []
    for point in points:
        product = point - at
        for other in points:
            if other != point:
                product = product * (other - point) % PRIME
        denominators.append(product)
    numerator = 1
    for point in points:
        numerator = numerator * (point - at) % PRIME
    return [numerator * inverse % PRIME for inverse in _invert_all(denominators)]


def combine(shares: Sequence[int], weights: Sequence[int]) -> bytes:
    """Return the secret from exactly t shares and the weights of their points at 0.

    Raises:
        ShareError: If the value is none that a secret can have: at least one share is wrong.
    """
    value = sum(share * weight for share, weight in zip(shares, weights, strict=True)) % PRIME
    if value >> 256:
        raise ShareError("Shares give a number above 256 bits: at least one of them is wrong.")
    return value.to_bytes(SECRET_BYTES, "big")


def write_share(share: int) -> bytes:
    """Return a share as 33 bytes."""
    return share.to_bytes(SHARE_BYTES, "big")


def read_share(encoded: bytes) -> int:
    """Return the share that 33 bytes hold.

    Raises:
        MalformedMessageError: If the length is another, or the number not below the prime (a second spelling).
    """
    share = int.from_bytes(encoded, "big")
    if len(encoded) != SHARE_BYTES or share >= PRIME:
        raise MalformedMessageError(f"A share is a number below 2^256 + 297 in {SHARE_BYTES} bytes. This is none.")
    return share


def _evaluate(coefficients: Sequence[int], point: int) -> int:
    """Return a polynomial's value, highest coefficient first (Horner)."""
    value = 0
    for coefficient in coefficients:
        value = (value * point + coefficient) % PRIME
    return value


def _invert_all(numbers: Sequence[int]) -> list[int]:
    """Return the inverses modulo p with a single inversion (Montgomery's trick)."""
    products = [1]
    for number in numbers:
        products.append(products[-1] * number % PRIME)
    inverse = pow(products[-1], -1, PRIME)
    inverses = []
    for number, before in zip(reversed(numbers), reversed(products[:-1]), strict=True):
        inverses.append(inverse * before % PRIME)
        inverse = inverse * number % PRIME
    return inverses[::-1]
