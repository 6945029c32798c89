from __future__ import annotations

import numpy as np
import pytest
import torch

from callbacks.clipping import ClipUpdate
from callbacks.contributions import Contributions
from callbacks.isfa import ISFAAggregation
from callbacks.noise import DistributedNoise
from federation.args import AggregationArgs, SecurityArgs
from federation.key_source import SeededKeys
from federation.update import Aggregate
from tests.callbacks.parts import DIMENSION, call, make_state, make_updates

BETA = 0.5


def release(clients_with_data: int, noise_multiplier: float, clip_norm: float = 0.4) -> tuple[Contributions, list]:
    """Take a cohort through the pipeline and return what was noted, with the updates."""
    keys = SeededKeys(0)
    pipeline = [
        ISFAAggregation(AggregationArgs(beta=BETA)),
        ClipUpdate(keys),
        DistributedNoise(keys, noise_multiplier, SecurityArgs()),
    ]
    state, updates, contributions = make_state(clip_norm=clip_norm), make_updates(), Contributions(BETA)
    for update in updates[clients_with_data:]:
        update.contributes = False
    for update in updates:
        call(pipeline, "on_client_update", state, update)
    total = sum(update.integers for update in updates)
    aggregate = Aggregate(np.zeros(0), len(updates), integers=total)
    call([*reversed(pipeline), contributions], "on_aggregate", state, aggregate)
    assert torch.isfinite(aggregate.direction).all()
    assert aggregate.direction.numel() == DIMENSION
    call([contributions], "on_run_end", state)
    return contributions, updates


def test_the_released_weight_is_that_of_the_clients_within_its_noise(capsys):
    contributions, updates = release(5, noise_multiplier=0.2)
    ((weight, noise),) = contributions.weights
    true = sum(update.metrics["isfa_weight"] for update in updates if update.contributes)
    assert 0 < noise < true / 2
    assert abs(weight - true) < 4 * noise
    said = capsys.readouterr()
    assert f"at most 1 a client: {weight:.2f}±{noise:.2f}" in said.out
    assert not said.err


@pytest.mark.parametrize("weight", [0.0, 1.9, -3.0])
def test_a_run_without_a_contribution_is_loud(capsys, weight):
    contributions = Contributions(BETA)
    for _ in range(2):
        aggregate = Aggregate(np.zeros(0), 3, vector=np.array([9.0, BETA * weight]), noise=BETA)
        contributions.on_aggregate(make_state(), aggregate)
    contributions.on_run_end(make_state())
    assert "No released sum can be told from noise" in capsys.readouterr().err


def test_one_round_that_shows_is_enough(capsys):
    contributions = Contributions(BETA)
    for weight in (0.0, 3.0):
        aggregate = Aggregate(np.zeros(0), 3, vector=np.array([BETA * weight]), noise=BETA)
        contributions.on_aggregate(make_state(), aggregate)
    contributions.on_run_end(make_state())
    assert not capsys.readouterr().err


def test_the_noise_is_what_the_sum_has():
    """Over many coordinates the deviation of a sum without data is the one that is said."""
    keys, state = SeededKeys(1), make_state()
    state.global_adapter = torch.zeros(20_000)
    noise, updates = DistributedNoise(keys, 0.7, SecurityArgs()), make_updates()
    for update in updates:
        update.integers = np.zeros(20_001, np.int64)
        noise.on_client_update(state, update)
    total = sum(update.integers for update in updates)
    aggregate = Aggregate(np.zeros(0), len(updates), integers=total)
    noise.on_aggregate(state, aggregate)
    assert np.std(total * state.grid.step) == pytest.approx(aggregate.noise, rel=0.03)
