from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation import isfa_weight, joint_vector, server_step, signal_share, smooth_weight, weighted_mean
from federation.args import AggregationArgs
from federation.update import ClientSignals

ARGS = AggregationArgs(gamma=0.5, alpha=0.7, max_examples=500, beta=0.2)
scores = st.floats(0, 1)


@given(n=st.integers(1, 2000), identity=scores, stability=scores, gamma=st.floats(0, 10))
def test_weights_lie_in_the_unit_interval(n, identity, stability, gamma):
    assert 0 < isfa_weight(n, ClientSignals(identity, stability), replace(ARGS, gamma=gamma)) <= 1


@given(n=st.integers(1, 2000), identity=scores, stability=scores)
def test_gamma_zero_weighs_by_data_alone(n, identity, stability):
    weight = isfa_weight(n, ClientSignals(identity, stability), replace(ARGS, gamma=0.0))
    assert weight == min(n, 500) / 500


@given(lower=scores, higher=scores, stability=scores)
def test_a_better_score_never_weighs_less(lower, higher, stability):
    lower, higher = sorted((lower, higher))
    weights = [isfa_weight(100, ClientSignals(score, stability), ARGS) for score in (lower, higher)]
    assert weights[0] <= weights[1]


@pytest.mark.parametrize("identity", [math.nan, math.inf, -math.inf, 5.0, -5.0])
def test_wild_scores_stay_bounded(identity):
    weight = isfa_weight(500, ClientSignals(identity, 0.5), ARGS)
    assert math.exp(-0.5) <= weight <= 1


def test_isfa_is_the_papers_weight_up_to_a_common_factor():
    clients = [(120, ClientSignals(0.9, 0.4)), (300, ClientSignals(0.2, 0.8)), (480, ClientSignals(0.5, 0.5))]
    ours = np.array([isfa_weight(n, signals, ARGS) for n, signals in clients])
    paper = np.array([n * math.exp(0.5 * (0.7 * s.identity + 0.3 * s.stability)) for n, s in clients])
    np.testing.assert_allclose(ours / ours.sum(), paper / paper.sum(), rtol=1e-12)


def test_the_sum_of_joint_vectors_gives_the_textbook_weighted_mean():
    deltas, weights = torch.randn(5, 40), [0.1, 0.9, 0.5, 1.0, 0.01]
    total = sum(joint_vector(delta, weight, beta=0.2) for delta, weight in zip(deltas, weights, strict=True))
    expected = np.average(deltas.double().numpy(), axis=0, weights=weights)
    np.testing.assert_allclose(weighted_mean(total, total[-1] / 0.2, floor=1e-6), expected, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, -3.0, 1e-9])
def test_a_floor_bounds_the_mean_when_noise_eats_the_weight(weight):
    np.testing.assert_allclose(weighted_mean(np.array([1.0, -2.0, 0.2 * weight]), weight, floor=0.5), [2.0, -4.0])


def test_the_weight_is_averaged_over_rounds():
    assert smooth_weight(None, 3.0, 0.9) == 3.0
    assert smooth_weight(1.0, 3.0, 0.0) == 3.0
    assert smooth_weight(1.0, 3.0, 0.75) == 1.5


@pytest.mark.parametrize("signal", [0.0, 0.3, 1.0, 5.0])
def test_what_is_kept_of_a_noisy_vector_is_nearer_to_the_truth(signal):
    """Signal in units of the noise's length; the mean of 200 draws of 400 coordinates is compared."""
    draws = np.random.default_rng(0)
    truth = signal * np.ones(400)
    errors, shares = [], []
    for noisy in truth + draws.normal(size=(200, 400)):
        shares.append(signal_share(noisy, 1.0))
        errors.append([((kept * noisy - truth) ** 2).sum() for kept in (1.0, shares[-1])])
    plain, kept = np.mean(errors, axis=0)
    assert kept < plain
    assert np.mean(shares) == pytest.approx(signal**2 / (1 + signal**2), abs=0.05)
    if signal == 0:
        assert kept < 0.02 * plain


@given(deviation=st.floats(1e-3, 1e3), scale=st.floats(1e-3, 1e3))
def test_the_kept_share_has_no_unit(deviation, scale):
    noisy = np.random.default_rng(1).normal(size=50) * 3 * deviation
    assert signal_share(scale * noisy, scale * deviation) == pytest.approx(signal_share(noisy, deviation))


def test_all_is_kept_without_noise_and_nothing_of_nothing():
    assert signal_share(np.array([1.0, -2.0, 3.0]), 0.0) == 1.0
    assert signal_share(np.zeros(3), 1.0) == 0.0
    assert signal_share(np.ones(2), 5.0) == 1.0  # two coordinates are too few to tell


def test_the_server_steps_with_momentum():
    args = AggregationArgs(server_learning_rate=0.5, server_momentum=0.9)
    start, direction = torch.zeros(2), torch.tensor([1.0, -2.0])
    first, velocity = server_step(start, direction, None, args)
    second, _ = server_step(first, direction, velocity, args)
    torch.testing.assert_close(first, 0.5 * direction)
    torch.testing.assert_close(second - first, 0.5 * 1.9 * direction)
    assert torch.equal(start, torch.zeros(2))
