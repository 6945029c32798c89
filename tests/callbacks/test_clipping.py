"""The clip: an integer bound that nothing gets past."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from callbacks.clipping import ClipUpdate
from federation.args import ClippingArgs
from federation.privacy.keys import SeededKeys
from federation.privacy.sensitivity import Grid
from federation.update import Aggregate
from tests.callbacks.parts import DIMENSION, make_state, make_updates


def clip(vector: np.ndarray, clip_norm: float = 1.0):
    update, state = make_updates()[0], make_state(clip_norm=clip_norm)
    update.vector, state.global_adapter = vector, torch.zeros(vector.size - 1)
    ClipUpdate(SeededKeys(0), ClippingArgs()).on_client_update(state, update)
    return update


@pytest.mark.parametrize("scale", [1e-9, 0.1, 1.0, 1e6, 1e300])
def test_no_vector_is_longer_than_the_bound(scale):
    update = clip(scale * np.arange(1.0, 22.0))
    assert update.integers.dtype == np.int64
    assert int((update.integers**2).sum()) <= Grid(1.0, 21).bound_squared


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_becomes_zeros(value):
    update = clip(np.array([1.0, value, 2.0]))
    assert not update.integers.any()


def test_clipping_keeps_the_direction_and_so_the_weighted_mean():
    vector = 100.0 * np.append(np.arange(1.0, 21.0), 5.0)
    decoded = clip(vector).integers * Grid(1.0, 21).step
    assert decoded @ vector / np.linalg.norm(decoded) / np.linalg.norm(vector) > 0.999


def test_decoding_undoes_encoding_to_within_the_grid():
    vector = 0.01 * torch.randn(DIMENSION + 1, generator=torch.Generator().manual_seed(0)).double().numpy()
    aggregate = Aggregate(np.zeros(0), 1, vector=clip(vector).integers.astype(float))
    ClipUpdate(SeededKeys(0), ClippingArgs()).on_aggregate(make_state(), aggregate)
    assert np.abs(aggregate.vector - vector).max() <= Grid(1.0, DIMENSION + 1).step
