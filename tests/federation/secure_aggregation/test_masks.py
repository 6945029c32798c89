"""What the server receives is uniform, and the masks leave the sum; both break with the usual bugs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chisquare

from federation.key_source import SeededKeys
from federation.secure_aggregation import client_attempt
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import (
    BLOCK_WORDS,
    add_keystreams,
    commit,
    from_ring,
    pairwise_key,
    self_key,
    to_ring,
)
from federation.secure_aggregation.messages import MaskedInput
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import Parties, make_session, plan

D = 40_000
CONTEXT = bytes(range(32))


def masked(vectors: np.ndarray, round: int = 0) -> np.ndarray:
    """Return what the server receives from clients with these vectors, uint32, of the same shape."""
    clients, dimension = vectors.shape
    parties = Parties(make_session(plan(clients, 0, 1, dimension)), SeededKeys(0), round=round)
    parties.vectors = dict(zip(parties.names, to_ring(vectors), strict=True))
    parties.advance(Stage.MASK_INPUT)
    context = parties.session.context(round, 0, parties.broadcast)
    messages = parties.answers().values()
    return np.array([MaskedInput.decode(m, i, context, dimension).vector for i, m in enumerate(messages)])


def least_p(words: np.ndarray) -> float:
    """Return the least chi-square p over the four byte lanes of uint32 words."""
    lanes = words.astype("<u4").view(np.uint8).reshape(-1, 4)
    return min(chisquare(np.bincount(lane, minlength=256)).pvalue for lane in lanes.T)


def looks_uniform(mask_vectors: Callable[[np.ndarray, int], np.ndarray]) -> bool:
    """Look at the wires of equal vectors, and at their differences between clients and between rounds."""
    vectors = np.full((3, D), 12_345)
    first, second = mask_vectors(vectors, 0), mask_vectors(vectors, 1)
    seen = [*first, *second, *(first - second), first[0] - first[1], first[1] - first[2]]
    return min(least_p(words) for words in seen) > 1e-6


def with_small_floats(vectors: np.ndarray, round: int) -> np.ndarray:
    noise = np.random.default_rng(round).normal(0, 1e-3, vectors.shape) * 2**16
    return to_ring(vectors + np.rint(noise).astype(np.int64))


def with_22_bits(vectors: np.ndarray, round: int) -> np.ndarray:
    return to_ring(vectors + np.random.default_rng(round).integers(0, 2**22, vectors.shape))


def with_last_rounds_masks(vectors: np.ndarray, round: int) -> np.ndarray:
    return masked(vectors, round=0)


def with_one_mask_for_all(vectors: np.ndarray, round: int) -> np.ndarray:
    return to_ring(vectors) + np.random.default_rng(round).integers(0, 2**32, D, np.uint32)


def not_at_all(vectors: np.ndarray, round: int) -> np.ndarray:
    return to_ring(vectors)


def test_what_the_server_receives_is_uniform():
    assert looks_uniform(masked)


@pytest.mark.parametrize(
    "fault", [with_small_floats, with_22_bits, with_last_rounds_masks, with_one_mask_for_all, not_at_all]
)
def test_faulty_masks_are_seen(fault):
    assert not looks_uniform(fault)


def test_a_single_masked_vector_is_uniform():
    assert least_p(masked(np.zeros((2, 200_000), np.int64))[0]) > 1e-6


@pytest.mark.parametrize("dimension", [1, BLOCK_WORDS - 1, BLOCK_WORDS, BLOCK_WORDS + 1, 2 * BLOCK_WORDS + 7])
def test_what_is_added_can_be_subtracted_across_blocks(dimension):
    vector = np.arange(dimension, dtype=np.uint32)
    keys = [bytes([number]) * 32 for number in range(3)]
    add_keystreams(vector, added=keys[:2], subtracted=keys[2:])
    if dimension > 1000:
        assert least_p(vector) > 1e-6
    for key in keys:
        add_keystreams(vector, added=[key] if key == keys[2] else [], subtracted=[key] if key != keys[2] else [])
    np.testing.assert_array_equal(vector, np.arange(dimension))


def test_the_keystream_goes_on_from_block_to_block():
    whole, parts = np.zeros(2 * BLOCK_WORDS, np.uint32), np.zeros(BLOCK_WORDS, np.uint32)
    add_keystreams(whole, added=[bytes(32)])
    add_keystreams(parts, added=[bytes(32)])
    np.testing.assert_array_equal(whole[:BLOCK_WORDS], parts)
    assert not np.array_equal(whole[:BLOCK_WORDS], whole[BLOCK_WORDS:])


def test_with_a_wrong_sign_masks_stay_in_the_sum(monkeypatch):
    parties = Parties(make_session(plan()))
    np.testing.assert_array_equal(parties.run(), parties.plain_sum())

    def add_all(vector, added, subtracted):
        add_keystreams(vector, [*added, *subtracted])

    monkeypatch.setattr(client_attempt, "add_keystreams", add_all)
    faulty = Parties(make_session(plan()))
    assert not (faulty.run() == faulty.plain_sum()).any()


def pair(number: int) -> KeyPair:
    return KeyPair.from_private(number.to_bytes(32, "big"))


def test_pairwise_keys_are_common_to_two_and_to_no_third():
    ann, bob, eve = pair(1), pair(2), pair(3)
    key = pairwise_key(ann, bob.public, "ann", "bob", CONTEXT)
    assert key == pairwise_key(bob, ann.public, "bob", "ann", CONTEXT)
    assert key != pairwise_key(ann, eve.public, "ann", "eve", CONTEXT)
    # Bound to the names, too: the same two key pairs under other names share another key.
    assert key != pairwise_key(ann, bob.public, "ann", "eve", CONTEXT)
    assert key != pairwise_key(ann, bob.public, "ann", "bob", bytes(32))


def test_self_masks_and_commitments_are_bound_to_client_and_attempt():
    for derive in (self_key, commit):
        values = {derive(*case) for case in [(bytes(32), "ann", CONTEXT), (bytes(32), "bob", CONTEXT)]}
        values |= {derive(bytes(32), "ann", bytes(32)), derive(bytes(31) + b"\x01", "ann", CONTEXT)}
        assert len(values) == 4
    assert self_key(bytes(32), "ann", CONTEXT) != commit(bytes(32), "ann", CONTEXT)


@pytest.mark.parametrize("vector", [np.zeros(4), np.zeros(4, np.int64), np.zeros(8, np.uint32)[::2]])
def test_only_contiguous_uint32_is_masked(vector):
    with pytest.raises(TypeError, match="uint32"):
        add_keystreams(vector, added=[bytes(32)])


@pytest.mark.parametrize("value", [0, 1, -1, 2**31 - 1, -(2**31)])
def test_the_ring_gives_back_what_fits(value):
    assert from_ring(to_ring(np.array([value])))[0] == value
    assert from_ring(to_ring(np.array([value])).astype(np.int64) + 2**32)[0] == value
