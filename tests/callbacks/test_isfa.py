"""The weighted mean: the textbook's where nothing else acts, FedAvg at gamma 0, and never blown up by noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from callbacks.isfa import ISFAAggregation
from federation.args import AggregationArgs
from federation.update import Aggregate
from tests.callbacks.parts import DIMENSION, make_pipeline, make_state, make_updates, receive, send


@pytest.mark.parametrize("aggregation", ["isfa", "fedavg"])
def test_without_clip_noise_and_rounding_it_is_the_textbook_mean(tmp_path, aggregation):
    pipeline = make_pipeline(tmp_path, enabled=False, sampling="all", aggregation=aggregation, gamma=0.5, alpha=0.7)
    state, updates = make_state(), make_updates()
    send(pipeline, state, updates)
    direction = receive(pipeline, state, updates).direction
    gamma = 0.5 if aggregation == "isfa" else 0.0
    weights = [
        min(u.num_examples, 500) * math.exp(gamma * (0.7 * u.signals.identity + 0.3 * u.signals.stability))
        for u in updates
    ]
    mean = sum(w * u.delta.double() for w, u in zip(weights, updates, strict=True)) / sum(weights)
    assert torch.allclose(direction.double(), mean, atol=1e-6, rtol=0)


def test_fedavg_and_isfa_with_gamma_0_send_the_same_integers(tmp_path):
    sent = {}
    for name in ("fedavg", "isfa"):
        updates = make_updates()
        send(
            make_pipeline(tmp_path / name, aggregation=name, gamma=0.0 if name == "isfa" else 0.5),
            make_state(),
            updates,
        )
        sent[name] = np.stack([update.integers for update in updates])
    assert np.array_equal(sent["fedavg"], sent["isfa"])


def test_scores_change_the_integers_when_gamma_is_not_0(tmp_path):
    sent = []
    for gamma in (0.0, 0.5):
        updates = make_updates()
        send(make_pipeline(tmp_path / str(gamma), gamma=gamma), make_state(), updates)
        sent.append(np.stack([update.integers for update in updates]))
    assert not np.array_equal(*sent)


def test_a_bad_score_lowers_the_weight():
    good, bad = make_updates()[:2]
    bad.num_examples, bad.signals = good.num_examples, type(good.signals)(identity=0.0, stability=0.0)
    for update in (good, bad):
        ISFAAggregation(AggregationArgs()).on_client_update(make_state(), update)
    assert 0 < bad.metrics["isfa_weight"] < good.metrics["isfa_weight"] <= 1


@pytest.mark.parametrize("noisy_weight", [-3.0, 0.0, 0.01])
def test_the_step_is_short_where_noise_hides_the_weights(noisy_weight):
    """Three deviations of the noise, in units of the weight: 3 x .1 / .2."""
    state, noise = make_state(), 0.1
    vector = np.append(np.ones(DIMENSION), 0.2 * noisy_weight)
    aggregate = Aggregate(np.zeros(0), 8, vector=vector, noise=noise)
    ISFAAggregation(AggregationArgs(beta=0.2)).on_aggregate(state, aggregate)
    kept = state.metrics["released/signal_share"]
    assert torch.allclose(aggregate.direction, torch.full((DIMENSION,), kept / 1.5))


def test_clipped_vectors_are_divided_by_what_the_clip_left_of_their_weights(tmp_path):
    """A clip norm far below the updates makes weights small; the step is as long as their mean all the same."""
    steps = {}
    for clip_norm in (0.02, 0.5):
        settings = {"sampling": "all", "gamma": 0.0, "noise_multiplier": 0.08, "clip_norm": clip_norm}
        pipeline = make_pipeline(tmp_path / str(clip_norm), **settings)
        state, updates = make_state(clip_norm=clip_norm), make_updates()
        send(pipeline, state, updates)
        direction = receive(pipeline, state, updates).direction
        steps[clip_norm] = direction.norm() / state.metrics["released/signal_share"]
    assert 0.7 < steps[0.02] / steps[0.5] < 1.3


def test_the_smoothed_weight_is_carried_in_the_notes_and_leaves_old_ones_alone():
    step = ISFAAggregation(AggregationArgs(beta=0.5, weight_ema=0.5))
    state, notes = make_state(), {"summed_weight": 1.0}
    state.notes = notes
    step.on_aggregate(state, Aggregate(np.zeros(0), 8, vector=np.append(np.ones(DIMENSION), 0.5 * 3.0)))
    assert state.notes == {"summed_weight": 2.0}
    assert notes == {"summed_weight": 1.0}


@pytest.mark.parametrize(("noise", "kept"), [(0.0, 1.0), (0.5, 1 - 48 / 50 / 4), (1.0, 1 - 48 / 50), (3.0, 0.0)])
def test_the_step_is_as_long_as_the_sum_is_not_noise(noise, kept):
    state, ones = make_state(), np.ones(DIMENSION)
    aggregate = Aggregate(np.zeros(0), 8, vector=np.append(4.0 * ones, 4.0 * 0.5), noise=4.0 * noise)
    ISFAAggregation(AggregationArgs(beta=0.5)).on_aggregate(state, aggregate)
    assert torch.allclose(aggregate.direction, torch.full((DIMENSION,), kept / max(1.0, 6 * noise)))
    assert state.metrics["released/signal_share"] == pytest.approx(kept)
