"""The clip: an integer bound that nothing gets past."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from callbacks.clipping import ClipUpdate
from federation.args import ClippingArgs
from federation.key_source import SeededKeys
from federation.privacy.clip_norm import append_clip_bit, next_clip_norm
from federation.privacy.sensitivity import Grid, shorten
from federation.update import Aggregate, ClientUpdate
from tests.callbacks.parts import DIMENSION, make_pipeline, make_state, make_updates, receive, send

ADAPTIVE = ClippingArgs(adaptive=True)


def clip(vector: np.ndarray, clip_norm: float = 1.0):
    update, state = make_updates()[0], make_state(clip_norm=clip_norm)
    update.vector, state.global_adapter = vector, torch.zeros(vector.size - 1)
    ClipUpdate(SeededKeys(0)).on_client_update(state, update)
    return update


@pytest.mark.parametrize("scale", [1e-9, 0.1, 1.0, 1e6, 1e300])
def test_no_vector_is_longer_than_the_bound(scale):
    update = clip(scale * np.arange(1.0, 22.0))
    assert update.integers.dtype == np.int64
    assert int((update.integers**2).sum()) <= Grid(1.0, 21).bound_squared


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_becomes_zeros_and_counts_as_clipped(value):
    update = clip(np.array([1.0, value, 2.0]))
    assert not update.integers.any()
    assert update.metrics["clipped"] == 1


def test_clipping_keeps_the_direction_and_so_the_weighted_mean():
    vector = 100.0 * np.append(np.arange(1.0, 21.0), 5.0)
    decoded = clip(vector).integers * Grid(1.0, 21).step
    assert decoded @ vector / np.linalg.norm(decoded) / np.linalg.norm(vector) > 0.999


def test_decoding_undoes_encoding_to_within_the_grid():
    vector = 0.01 * torch.randn(DIMENSION + 1, generator=torch.Generator().manual_seed(0)).double().numpy()
    aggregate = Aggregate(np.zeros(0), 1, integers=clip(vector).integers)
    ClipUpdate(SeededKeys(0)).on_aggregate(make_state(), aggregate)
    assert np.abs(aggregate.vector - vector).max() <= Grid(1.0, DIMENSION + 1).step


def adaptive_round(tmp_path, clip_norm: float, clipping: ClippingArgs = ADAPTIVE):
    """Return state, updates and aggregate of a round whose clip norm adapts."""
    pipeline = make_pipeline(tmp_path, **asdict(clipping), sampling="all", noise_multiplier=0.1)
    state, updates = make_state(clip_norm=clip_norm, clipping=clipping), make_updates()
    send(pipeline, state, updates)
    return state, updates, receive(pipeline, state, updates)


@pytest.mark.parametrize(("clip_norm", "direction"), [(5.0, -1), (0.002, 1)])
def test_the_noisy_bits_move_the_clip_norm_of_the_next_round(tmp_path, clip_norm, direction):
    state, updates, aggregate = adaptive_round(tmp_path, clip_norm)
    assert {update.wire.shape for update in updates} == {(state.wire_size,)} == {(DIMENSION + 2,)}
    assert aggregate.direction.shape == (DIMENSION,)
    assert direction * math.log(state.next_clip_norm / clip_norm) == pytest.approx(0.1, abs=0.04)
    assert state.clip_norm == state.metrics["released/clip_norm"] == clip_norm


def test_the_bits_are_a_share_of_those_who_are_expected_to_contribute():
    state = make_state(clipping=ADAPTIVE)
    integers = np.zeros(state.wire_size, np.int64)
    integers[-1] = 3
    ClipUpdate(SeededKeys(0), contributing=0.25).on_aggregate(state, Aggregate(np.zeros(0), 8, integers))
    moved, faulty = (next_clip_norm(1.0, 3 * state.grid.step, contributors, ADAPTIVE) for contributors in (0.25 * 8, 8))
    assert state.next_clip_norm == moved != faulty


def is_read_in_units_of(clip_norm: float, updates: list[ClientUpdate], decoded: np.ndarray) -> bool:
    """Whether a decoded sum is, along the true one, as long as that; noise hides 2 % of it."""
    true = sum(shorten(update.vector, clip_norm, clip_norm)[0] for update in updates)
    return abs(float(decoded @ true) / float(true @ true) - 1) < 0.05


def test_the_sum_is_read_with_the_clip_norm_it_was_formed_under(tmp_path):
    state, updates, aggregate = adaptive_round(tmp_path, 0.005, replace(ADAPTIVE, learning_rate=1.0))
    assert is_read_in_units_of(0.005, updates, aggregate.vector)
    with_the_next_one = aggregate.vector * state.next_clip_norm / 0.005
    assert not is_read_in_units_of(0.005, updates, with_the_next_one)


def test_a_client_without_data_sends_no_bit():
    step, state, update = ClipUpdate(SeededKeys(0)), make_state(clipping=ADAPTIVE), make_updates()[0]
    update.vector, update.contributes = np.zeros(DIMENSION + 1), False
    step.on_client_update(state, update)
    assert update.integers.shape == (state.wire_size,)
    assert not update.integers.any()


class SendsABitWithoutData(ClipUpdate):
    """The fault: half of zeta for every client without data, which tells the coin to whoever unmasks it."""

    def _with_bit(self, state, update):
        return append_clip_bit(update.vector, state.clip_norm, state.clipping)


def test_the_check_sees_a_bit_without_data():
    step, state, update = SendsABitWithoutData(SeededKeys(0)), make_state(clipping=ADAPTIVE), make_updates()[0]
    update.vector, update.contributes = np.zeros(DIMENSION + 1), False
    step.on_client_update(state, update)
    assert update.integers.any()


def test_a_fixed_clip_norm_stays_and_sends_no_bit(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    send(pipeline, state, updates)
    receive(pipeline, state, updates)
    assert (state.clip_norm, state.next_clip_norm) == (1.0, None)
    assert {update.wire.size for update in updates} == {DIMENSION + 1}
    assert "released/clip_norm" not in state.metrics


def test_a_clip_norm_outside_its_range_is_refused_before_anything_is_trained():
    state = make_state(clip_norm=0.4, clipping=ClippingArgs(adaptive=True, smallest=0.5))
    with pytest.raises(ValueError, match=r"--clipping\.smallest"):
        ClipUpdate(SeededKeys(0)).on_run_start(state)
