"""T3: what the server receives is uniform; T4: the sum is exact; both break with the usual bugs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from federation.privacy.keys import SeededKeys
from federation.secure_aggregation import masks
from federation.secure_aggregation.keys import InvalidPublicKeyError, MaskKeys
from federation.secure_aggregation.masks import BLOCK_WORDS, from_ring, mask, mask_context, pairwise_key, to_ring

D = 40_000
CONTEXT = mask_context(b"session", 3, 0)


def cohort(size: int, seed: int = 0) -> tuple[dict[str, MaskKeys], dict[str, bytes]]:
    own = {name: MaskKeys.generate(SeededKeys(seed).stream(name, 0, 0, "mask")) for name in map(str, range(size))}
    return own, {name: keys.public for name, keys in own.items()}


def masked(vectors: np.ndarray, seed: int = 0, context: bytes = CONTEXT) -> np.ndarray:
    own, publics = cohort(len(vectors), seed)
    wires = to_ring(vectors)
    for wire, (name, keys) in zip(wires, own.items(), strict=True):
        mask(wire, keys, publics, name, context)
    return wires


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


def properly(vectors: np.ndarray, round: int) -> np.ndarray:
    return masked(vectors, seed=round)


def with_small_floats(vectors: np.ndarray, round: int) -> np.ndarray:
    noise = np.random.default_rng(round).normal(0, 1e-3, vectors.shape) * 2**16
    return to_ring(vectors + np.rint(noise).astype(np.int64))


def with_22_bits(vectors: np.ndarray, round: int) -> np.ndarray:
    return to_ring(vectors + np.random.default_rng(round).integers(0, 2**22, vectors.shape))


def with_last_rounds_masks(vectors: np.ndarray, round: int) -> np.ndarray:
    return masked(vectors, seed=0)


def with_one_mask_for_all(vectors: np.ndarray, round: int) -> np.ndarray:
    return to_ring(vectors) + np.random.default_rng(round).integers(0, 2**32, D, np.uint32)


def not_at_all(vectors: np.ndarray, round: int) -> np.ndarray:
    return to_ring(vectors)


def test_what_the_server_receives_is_uniform():
    assert looks_uniform(properly)


@pytest.mark.parametrize(
    "fault", [with_small_floats, with_22_bits, with_last_rounds_masks, with_one_mask_for_all, not_at_all]
)
def test_faulty_masks_are_seen(fault):
    assert not looks_uniform(fault)


def test_a_single_masked_vector_is_uniform():
    assert least_p(masked(np.zeros((2, 200_000), np.int64))[0]) > 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_the_sum_is_exact(clients, dimension, seed):
    vectors = np.random.default_rng(seed).integers(-(2**27), 2**27, (clients, dimension))
    wires = masked(vectors, seed=seed)
    np.testing.assert_array_equal(from_ring(wires.astype(np.int64).sum(axis=0)), vectors.sum(axis=0))


@pytest.mark.parametrize("dimension", [BLOCK_WORDS - 1, BLOCK_WORDS, BLOCK_WORDS + 1, 2 * BLOCK_WORDS + 7])
def test_the_sum_is_exact_across_blocks(dimension):
    vectors = np.arange(3 * dimension).reshape(3, dimension)
    wires = masked(vectors)
    np.testing.assert_array_equal(from_ring(wires.astype(np.int64).sum(axis=0)), vectors.sum(axis=0))
    assert least_p(wires[0]) > 1e-6


def test_a_wrong_sign_or_a_missing_client_spoils_the_sum(monkeypatch):
    vectors = np.ones((3, D), np.int64)
    assert (masked(vectors).sum(axis=0, dtype=np.uint32) == 3).all()
    assert least_p(masked(vectors)[:2].sum(axis=0, dtype=np.uint32)) > 1e-6
    proper = masks.add_keystream
    monkeypatch.setattr(masks, "add_keystream", lambda vector, key, subtract: proper(vector, key, subtract=False))
    assert not (masked(vectors).sum(axis=0, dtype=np.uint32) == 3).any()


def test_every_part_of_the_context_changes_every_mask():
    vectors = np.zeros((2, 100), np.int64)
    contexts = [(b"session", 3, 0), (b"session", 3, 1), (b"session", 4, 0), (b"other", 3, 0), (b"sessio", 3, 0)]
    wires = {masked(vectors, context=mask_context(*context))[0].tobytes() for context in contexts}
    assert len(wires) == len(contexts)


def test_pairwise_keys_are_common_to_two_and_to_no_third():
    own, publics = cohort(3)
    ann = pairwise_key(own["0"], publics["1"], "0", "1", CONTEXT)
    assert ann == pairwise_key(own["1"], publics["0"], "1", "0", CONTEXT)
    assert ann != pairwise_key(own["0"], publics["2"], "0", "2", CONTEXT)
    # Bound to the names too: the same two key pairs under other names share another key.
    assert ann != pairwise_key(own["0"], publics["1"], "0", "3", CONTEXT)


def test_a_cohort_of_one_sends_its_sum():
    vector = np.arange(10)
    np.testing.assert_array_equal(masked(vector[None])[0], vector)


def forged(publics: dict[str, bytes]) -> dict[str, bytes]:
    return publics | {"0": MaskKeys.generate(SeededKeys(9).stream("x", 0, 0, "mask")).public}


def duplicated(publics: dict[str, bytes]) -> dict[str, bytes]:
    return publics | {"2": publics["1"]}


def missing(publics: dict[str, bytes]) -> dict[str, bytes]:
    return {name: public for name, public in publics.items() if name != "0"}


def of_low_order(publics: dict[str, bytes]) -> dict[str, bytes]:
    return publics | {"2": bytes(32)}


@pytest.mark.parametrize("tamper", [forged, duplicated, missing, of_low_order])
def test_tampered_keys_stop_the_client_before_anything_is_masked(tamper):
    own, publics = cohort(3)
    vector = np.arange(10, dtype=np.uint32)
    with pytest.raises(InvalidPublicKeyError):
        mask(vector, own["0"], tamper(publics), "0", CONTEXT)
    np.testing.assert_array_equal(vector, np.arange(10))


@pytest.mark.parametrize("vector", [np.zeros(4), np.zeros(4, np.int64), np.zeros(8, np.uint32)[::2]])
def test_only_contiguous_uint32_is_masked(vector):
    own, publics = cohort(2)
    with pytest.raises(TypeError, match="uint32"):
        mask(vector, own["0"], publics, "0", CONTEXT)


@pytest.mark.parametrize("value", [0, 1, -1, 2**31 - 1, -(2**31)])
def test_the_ring_gives_back_what_fits(value):
    assert from_ring(to_ring(np.array([value])))[0] == value
    assert from_ring(to_ring(np.array([value])).astype(np.int64) + 2**32)[0] == value
