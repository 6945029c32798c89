"""Noise: the sum's variance is what the accountant counts, whether or not clients have data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from callbacks.noise import DistributedNoise
from federation.args import SecurityArgs
from federation.key_source import SeededKeys
from federation.privacy.sensitivity import Grid
from federation.update import Aggregate, RoundState
from tests.callbacks.parts import make_state, make_updates

SIZE = 20_000
HONEST = 6 / 8
"""n_min of eight clients, of whom one may collude and another be silent."""


def make_noise(noise_multiplier: float) -> DistributedNoise:
    return DistributedNoise(SeededKeys(0), noise_multiplier, SecurityArgs())


def make_long_state(index: int = 0, size: int = SIZE) -> RoundState:
    """Return a round whose clients send vectors of this size."""
    state = make_state(index)
    state.global_adapter = torch.zeros(size - 1)
    return state


def noisy_sum(steps: list[DistributedNoise]) -> np.ndarray:
    """Return the sum of eight clients whose vectors are zero."""
    state, updates = make_long_state(), make_updates()
    for step, update in zip(steps, updates, strict=True):
        update.integers = np.zeros(SIZE, np.int64)
        step.on_client_update(state, update)
    return sum(update.integers for update in updates)


def excess(total: np.ndarray, noise_multiplier: float) -> float:
    """Return measured variance over the least that the accountant may count on."""
    return float(np.var(total)) / (noise_multiplier**2 * Grid(1.0, SIZE).bound_squared)


def test_the_sum_has_the_promised_variance_even_if_one_client_colludes():
    ratio = excess(noisy_sum([make_noise(0.7)] * 8), 0.7)
    error = 4 * math.sqrt(2 / SIZE)
    assert 1 - error < ratio * HONEST < 1 + error


@pytest.mark.parametrize("fault", ["too little", "shared"])
def test_the_check_sees_faulty_noise(fault):
    if fault == "too little":
        total = noisy_sum([make_noise(0.7 / math.sqrt(8))] * 8)
    else:
        step, state, update = make_noise(0.7), make_long_state(), make_updates()[0]
        update.integers = np.zeros(SIZE, np.int64)
        step.on_client_update(state, update)
        total = 8 * update.integers
    error = 4 * math.sqrt(2 / SIZE)
    assert not 1 - error < excess(total, 0.7) * HONEST < 1 + error


def test_rounds_attempts_and_clients_have_noise_of_their_own():
    step, drawn = make_noise(1.0), []
    for index, attempt in ((0, 0), (0, 1), (1, 0)):
        state = make_long_state(index, size=1000)
        state.attempt = attempt
        for update in make_updates()[:2]:
            update.integers = np.zeros(1000, np.int64)
            step.on_client_update(state, update)
            drawn.append(update.integers)
    correlations = np.corrcoef(drawn)[~np.eye(len(drawn), dtype=bool)]
    assert np.abs(correlations).max() < 5 / math.sqrt(1000)


def test_noise_to_signal_is_read_off_the_sum():
    step, state = make_noise(1.0), make_long_state()
    total = noisy_sum([step] * 8)
    signal = np.full(SIZE, 2 * np.sqrt(np.var(total)))
    step.on_aggregate(state, Aggregate(np.zeros(0), 8, integers=np.rint(total + signal).astype(np.int64)))
    assert state.metrics["released/noise_to_signal"] == pytest.approx(0.5, rel=0.05)


def test_the_deviation_is_that_of_the_clients_in_the_sum():
    step, deviations = make_noise(1.0), []
    for survivors in (8, 7):
        aggregate = Aggregate(np.zeros(0), survivors, integers=np.zeros(SIZE, np.int64))
        step.on_aggregate(make_long_state(), aggregate)
        deviations.append(aggregate.noise)
    assert deviations[1] / deviations[0] == pytest.approx(math.sqrt(7 / 8))


def test_a_signal_that_cannot_be_seen_gives_the_largest_figure_there_is():
    step, state = make_noise(1.0), make_long_state()
    step.on_aggregate(state, Aggregate(np.zeros(0), 8, integers=np.zeros(SIZE, np.int64)))
    assert state.metrics["released/noise_to_signal"] == pytest.approx((SIZE / 8) ** 0.25)


def test_noise_that_could_leave_the_ring_is_refused_before_anything_is_trained():
    state = make_state()
    state.global_adapter = torch.zeros(100)
    with pytest.raises(ValueError, match="32-bit ring"):
        make_noise(1e6).on_run_start(state)
