"""T2: zero vectors through clip, noise, mask and sum come out with the variance that was accounted for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.keys import SeededKeys
from federation.privacy.planning import plan_noise
from federation.privacy.sensitivity import Grid, clip_to_grid
from federation.secure_aggregation.keys import MaskKeys
from federation.secure_aggregation.masks import from_ring, mask, mask_context, to_ring

D, Z = 20_000, 1.3
GRID = Grid(1.0, D)
CLIENTS = [f"client{i}" for i in range(6)]
PLAN = plan_noise(Z, GRID, len(CLIENTS))
KEYS = SeededKeys(0)


def proper(client: str, round: int) -> np.ndarray:
    return DiscreteGaussian(PLAN.variance).sample(D, KEYS.stream(client, round, 0, "noise"))


def none(client: str, round: int) -> np.ndarray:
    return np.zeros(D, np.int64)


def split_as_if_deviations_added_up(client: str, round: int) -> np.ndarray:
    variance = int(Z**2 * GRID.bound_squared / len(CLIENTS) ** 2)
    return DiscreteGaussian(variance).sample(D, KEYS.stream(client, round, 0, "noise"))


def from_a_public_seed(client: str, round: int) -> np.ndarray:
    return np.rint(np.random.default_rng(999).normal(0, math.sqrt(PLAN.variance), D)).astype(np.int64)


def sum_of_zero_clients(noise, round: int) -> np.ndarray:
    own = {client: MaskKeys.generate(KEYS.stream(client, round, 0, "mask")) for client in CLIENTS}
    publics = {client: keys.public for client, keys in own.items()}
    total = np.zeros(D, np.int64)
    for client in CLIENTS:
        encoded = clip_to_grid(np.zeros(D), GRID, KEYS.stream(client, round, 0, "rounding"))
        wire = to_ring(encoded.integers + noise(client, round))
        mask(wire, own[client], publics, client, mask_context(b"session", round, 0))
        total += wire
    return from_ring(total)


def is_calibrated(noise) -> bool:
    rounds = np.array([sum_of_zero_clients(noise, round) for round in range(2)], float)
    honest_share = PLAN.honest / PLAN.clients
    ratio = rounds.var(axis=1) * honest_share / (Z**2 * GRID.bound_squared)
    enough = (ratio >= 1 - 4 * math.sqrt(2 / D)).all() and (ratio <= 1.25).all()
    return enough and abs(correlation(*rounds)) < 5 / math.sqrt(D)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / max(1e-9, np.linalg.norm(one) * np.linalg.norm(other)))


def test_the_sum_has_the_variance_that_was_accounted_for():
    assert is_calibrated(proper)


@pytest.mark.parametrize("fault", [none, split_as_if_deviations_added_up, from_a_public_seed])
def test_faulty_noise_is_seen(fault):
    assert not is_calibrated(fault)


def test_clients_noise_is_independent():
    draws = [proper(client, 0).astype(float) for client in CLIENTS[:3]]
    for index, one in enumerate(draws):
        for other in draws[:index]:
            assert abs(correlation(one, other)) < 5 / math.sqrt(D)


def test_the_honest_clients_alone_reach_the_noise_multiplier():
    honest = np.sum([proper(client, 0) for client in CLIENTS[: PLAN.honest]], axis=0)
    assert honest.var() / (Z**2 * GRID.bound_squared) > 1 - 4 * math.sqrt(2 / D)
