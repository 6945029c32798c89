from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.stats import chisquare

from federation.key_stream import BLOCK_BYTES, KeyStream


def test_bytes_are_aes_256_in_counter_mode():
    # NIST AESAVS, GFSbox-style check: AES-256 of the zero block under the zero key.
    assert KeyStream(bytes(32)).bytes(16).hex() == "dc95c078a2408989ad48a21492842087"


def test_draws_continue_where_the_last_one_ended():
    size = BLOCK_BYTES + 12
    stream = KeyStream(bytes(range(32)))
    parts = stream.bytes(5) + stream.bytes(size) + stream.uint32(3).tobytes() + stream.uint64(2).tobytes()
    assert parts == KeyStream(bytes(range(32))).bytes(5 + size + 12 + 16)


def test_nothing_may_be_drawn():
    assert KeyStream(bytes(32)).uint64(0).size == 0


def test_a_forked_copy_refuses_to_repeat_itself(monkeypatch):
    stream = KeyStream(bytes(32))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="fork"):
        stream.bytes(1)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_other_key_sizes_are_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        KeyStream(bytes(size))


def shares(draws: np.ndarray, bound: int) -> np.ndarray:
    """Return how many draws fall into each of fifty equal parts, or of as many as there are integers."""
    return np.bincount((draws // np.uint64(max(1, bound // 50))).astype(np.int64))[: min(50, bound)]


@pytest.mark.parametrize("bound", [2, 3, 100, 3 * 2**61, 2**63])
def test_integers_below_a_bound_are_uniform(bound):
    draws = KeyStream(bytes(32)).integers_below(bound, 20_000)
    assert draws.max() < bound
    assert chisquare(shares(draws, bound)).pvalue > 1e-6


def test_the_check_sees_what_is_not_drawn_again():
    draws = KeyStream(bytes(32)).uint64(20_000) % np.uint64(3 * 2**61)
    assert chisquare(shares(draws, 3 * 2**61)).pvalue < 1e-6


def test_only_zero_is_below_one():
    assert not KeyStream(bytes(32)).integers_below(1, 100).any()


def test_what_falls_beyond_the_last_whole_multiple_is_drawn_again_until_it_does_not(monkeypatch):
    words = iter([[0, 2**63 + 2**62 - 1, 2**63 + 2**62, 2**64 - 1], [2**64 - 1, 5], [2**63 + 2**62], [7]])
    monkeypatch.setattr(KeyStream, "uint64", lambda self, count: np.array(next(words), np.uint64))
    assert KeyStream(bytes(32)).integers_below(3 * 2**61, 4).tolist() == [0, 3 * 2**61 - 1, 7, 5]


@pytest.mark.parametrize("bound", [0, -1, 2**63 + 1])
def test_impossible_bounds_are_refused(bound):
    with pytest.raises(ValueError, match="bound"):
        KeyStream(bytes(32)).integers_below(bound, 1)


def test_coins_fall_as_often_as_asked():
    stream = KeyStream(bytes(32))
    assert not any(stream.bernoulli(0.0) for _ in range(100))
    assert all(stream.bernoulli(1.0) for _ in range(100))
    heads = sum(stream.bernoulli(0.3) for _ in range(4000))
    assert abs(heads - 1200) < 5 * np.sqrt(4000 * 0.21)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_impossible_coins_are_refused(probability):
    with pytest.raises(ValueError, match="probability"):
        KeyStream(bytes(32)).bernoulli(probability)
