"""T2: zero vectors through clip, noise and ring come out with the variance that was accounted for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from federation.key_source import KeySource, OperatingSystemKeys, SeededKeys
from federation.privacy.cohort_counts import CohortCounts, provision
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.noise_calibration import plan_noise
from federation.privacy.sensitivity import Grid, clip_to_grid
from federation.secure_aggregation.masks import from_ring, to_ring

Z, COHORT = 1.3, provision(10, colluding_share=0.1, dropout_share=0.2)
CLIENTS = [f"client{i}" for i in range(COHORT.clients)]
DEVIATIONS = 7
"""Allowed distance in standard errors sqrt(2 / D): 1 % at D = 10^6; one sum in 10^11 is further off by chance."""

Noise = Callable[[KeySource, str, int], np.ndarray]


def variance_of_a_client(size: int, cohort: CohortCounts = COHORT) -> int:
    return plan_noise(Z, Grid(1.0, size), cohort).variance


@cache
def sampler(variance: int) -> DiscreteGaussian:
    return DiscreteGaussian(variance)


def proper(keys: KeySource, client: str, size: int) -> np.ndarray:
    return sampler(variance_of_a_client(size)).sample(size, keys.stream(client, 0, 0, "noise"))


def none(keys: KeySource, client: str, size: int) -> np.ndarray:
    return np.zeros(size, np.int64)


def split_as_if_deviations_added_up(keys: KeySource, client: str, size: int) -> np.ndarray:
    variance = math.ceil(variance_of_a_client(size) / len(CLIENTS))
    return sampler(variance).sample(size, keys.stream(client, 0, 0, "noise"))


def from_one_seed(keys: KeySource, client: str, size: int) -> np.ndarray:
    return proper(SeededKeys(999), "everybody", size)


def split_over_everybody(keys: KeySource, client: str, size: int) -> np.ndarray:
    """As if nobody dropped out or colluded."""
    everybody = CohortCounts(len(CLIENTS), 0, len(CLIENTS))
    return sampler(variance_of_a_client(size, everybody)).sample(size, keys.stream(client, 0, 0, "noise"))


FAULTS = [none, split_as_if_deviations_added_up, from_one_seed, split_over_everybody]


def sums_of_zero_clients(noise: Noise, keys: KeySource, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (m, sum) of the first m clients, for every m from n_min to n."""
    grid, total = Grid(1.0, size), np.zeros(size, np.uint32)
    for index, client in enumerate(CLIENTS):
        encoded = clip_to_grid(np.zeros(size), grid, keys.stream(client, 0, 0, "rounding"))
        total += to_ring(encoded + noise(keys, client, size))
        if index + 1 >= COHORT.honest:
            yield index + 1, from_ring(total).astype(np.float64)


def is_calibrated(noise: Noise, keys: KeySource, size: int) -> bool:
    expected, tolerance = variance_of_a_client(size), DEVIATIONS * math.sqrt(2 / size)
    return all(
        abs(float(np.mean(total**2)) / (m * expected) - 1) <= tolerance
        for m, total in sums_of_zero_clients(noise, keys, size)
    )


def test_every_sum_of_survivors_has_the_variance_that_was_accounted_for():
    assert is_calibrated(proper, SeededKeys(0), 20_000)


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_noise_is_seen(fault):
    assert not is_calibrated(fault, SeededKeys(0), 20_000)


@pytest.mark.slow
def test_at_full_size_the_variance_is_within_one_percent():
    assert DEVIATIONS * math.sqrt(2 / 10**6) <= 0.01
    assert is_calibrated(proper, OperatingSystemKeys(), 10**6)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_at_full_size_faulty_noise_is_seen(fault):
    assert not is_calibrated(fault, OperatingSystemKeys(), 10**6)


def test_the_honest_survivors_alone_reach_the_noise_multiplier():
    size = 20_000
    honest = np.sum([proper(SeededKeys(0), client, size) for client in CLIENTS[: COHORT.honest]], axis=0)
    assert honest.var() / (Z**2 * Grid(1.0, size).bound_squared) > 1 - DEVIATIONS * math.sqrt(2 / size)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(float), other.astype(float)
    return float(one @ other / max(1e-9, np.linalg.norm(one) * np.linalg.norm(other)))


def test_clients_noise_is_independent():
    draws = [proper(SeededKeys(0), client, 20_000) for client in CLIENTS[:3]]
    for index, one in enumerate(draws):
        for other in draws[:index]:
            assert abs(correlation(one, other)) < DEVIATIONS / math.sqrt(20_000)
