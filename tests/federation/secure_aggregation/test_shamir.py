"""Shares: any t give the secret back, fewer say nothing, and known answers stay what they are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import MalformedMessageError, ShareError
from federation.secure_aggregation.shamir import PRIME, combine, lagrange_weights, read_share, split, write_share

EDGES = [0, 1, 2**256 - 1]


def stream(number: int = 0) -> KeyStream:
    return KeyStream(number.to_bytes(32, "big"))


def is_prime(number: int) -> bool:
    """Miller and Rabin with the first 40 primes as bases: wrong with probability below 2^-80."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    bases = [n for n in range(2, 174) if all(n % m for m in range(2, n))]
    powers = [[pow(base, odd << step, number) for step in range(twos)] for base in bases]
    return all(line[0] == 1 or number - 1 in line for line in powers)


def test_the_modulus_is_prime():
    assert is_prime(PRIME)
    assert not is_prime(PRIME + 2)


@pytest.mark.parametrize("secret", EDGES)
def test_every_subset_gives_the_edges_back(secret):
    shares = split(secret.to_bytes(32, "big"), 3, range(1, 6), stream())
    for points in combinations(shares, 3):
        found = combine([shares[point] for point in points], lagrange_weights(points))
        assert int.from_bytes(found, "big") == secret


@pytest.mark.parametrize("secret", EDGES)
def test_the_shares_are_values_of_the_polynomial_that_was_drawn(secret):
    """By hand: t = 2 and a first coefficient of all zeros but the stream's first 32 bytes."""
    slope = int.from_bytes(stream(7).bytes(32), "big")
    shares = split(secret.to_bytes(32, "big"), 2, [1, 2, 100], stream(7))
    assert shares == {point: (secret + slope * point) % PRIME for point in (1, 2, 100)}


@pytest.mark.slow
@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.integers(0, 8), st.integers(0, 2**32))
def test_any_t_of_n_are_enough(secret, threshold, more, seed):
    points = [int(p) for p in np.random.default_rng(seed).choice(5000, threshold + more, replace=False) + 1]
    shares = split(secret, threshold, points, stream(seed))
    chosen = points[more:]
    assert combine([shares[point] for point in chosen], lagrange_weights(chosen)) == secret


def test_one_share_less_says_nothing():
    """With t - 1 shares every secret is as likely as another: their distribution does not depend on it."""
    for secret in (bytes(32), b"\xff" * 32):
        values = [split(secret, 2, [1, 2], stream(n)) for n in range(4000)]
        counts = np.bincount([share[1] >> 252 for share in values], minlength=16)[:16]
        assert chisquare(counts).pvalue > 1e-6
    constant = np.bincount([0] * 4000, minlength=16)
    assert chisquare(constant).pvalue < 1e-6


def test_a_wrong_share_gives_another_secret_or_none():
    shares = split(bytes(32), 3, [1, 2, 3], stream())
    weights = lagrange_weights([1, 2, 3])
    shares[2] = (shares[2] + 1) % PRIME
    try:
        assert combine(list(shares.values()), weights) != bytes(32)
    except ShareError:
        pass


def test_a_value_above_256_bits_is_no_secret():
    with pytest.raises(ShareError, match="256 bits"):
        combine([PRIME - 1], [1])


def test_weights_extend_to_any_point():
    shares = split(b"\x07" * 32, 3, [1, 2, 3, 9], stream())
    weights = lagrange_weights([1, 2, 3], at=9)
    assert sum(shares[p] * w for p, w in zip([1, 2, 3], weights, strict=True)) % PRIME == shares[9]


@pytest.mark.parametrize("points", [[0, 1], [1, 1], [-1, 2], [1, PRIME]])
def test_points_are_distinct_and_never_zero(points):
    with pytest.raises(ValueError, match="distinct"):
        split(bytes(32), 2, points, stream())


@pytest.mark.parametrize(("secret", "threshold"), [(bytes(31), 1), (bytes(33), 1), (bytes(32), 0), (bytes(32), 3)])
def test_secret_and_threshold_are_in_range(secret, threshold):
    with pytest.raises(ValueError, match="32 bytes"):
        split(secret, threshold, [1, 2], stream())


@pytest.mark.parametrize("share", [0, 1, 2**256 - 1, 2**256, PRIME - 1])
def test_shares_are_written_and_read(share):
    assert read_share(write_share(share)) == share


@pytest.mark.parametrize("encoded", [PRIME.to_bytes(33, "big"), b"\xff" * 33, bytes(32), bytes(34), b""])
def test_other_bytes_are_no_share(encoded):
    with pytest.raises(MalformedMessageError):
        read_share(encoded)
