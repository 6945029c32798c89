from __future__ import annotations

import math

import numpy as np
import pytest

from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.cohort_counts import CohortCounts, provision
from federation.privacy.noise_calibration import (
    plan_noise,
    probability_of_no_contributor,
    smallest_population,
    solve_noise_multiplier,
)
from federation.privacy.sensitivity import Grid

GRID = Grid(1.0, 10_000)


def cohort(clients: int) -> CohortCounts:
    return provision(clients, colluding_share=0.1, dropout_share=0.1)


@pytest.mark.parametrize("clients", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("share", [0.0, 0.33])
@pytest.mark.parametrize("z", [0.3, 1.0, 7.7])
def test_the_honest_noise_reaches_the_multiplier_with_room_for_rounding(clients, share, z):
    cohort = provision(clients, share, 0.2)
    plan = plan_noise(z, GRID, cohort)
    assert cohort.honest * plan.variance - 9 >= z**2 * GRID.bound_squared
    assert (cohort.honest * (plan.variance - 1) - 10) / GRID.bound_squared < z**2 * (1 + 1e-9)


def test_noise_too_small_to_split_is_refused():
    with pytest.raises(ValueError, match=r"at least 4 grid steps.*noise_multiplier"):
        plan_noise(0.005, Grid(1.0, 10), cohort(100))


@pytest.mark.parametrize("size", [100, 10**4, 10**6])
@pytest.mark.parametrize("z", [0.5, 50.0, 5e3])
def test_a_sum_that_is_not_refused_stays_in_the_ring_at_fourteen_deviations(size, z):
    grid, accepted = Grid(1.0, size), 0
    for clients in np.unique(np.geomspace(1, 10**6, 60).astype(int)).tolist():
        try:
            plan = plan_noise(z, grid, cohort(clients))
        except ValueError:
            continue
        accepted += 1
        assert clients * grid.radius + 14 * math.sqrt(clients * plan.variance) < 2**31
    assert accepted or z == 5e3


def test_a_sum_that_could_leave_the_ring_is_refused():
    plan_noise(1.0, Grid(1.0, 10**6), cohort(10_000))
    with pytest.raises(ValueError, match="32-bit ring"):
        plan_noise(1.0, Grid(1.0, 10**6), cohort(110_000))
    with pytest.raises(ValueError, match="32-bit ring"):
        plan_noise(1e5, Grid(1.0, 10**6), cohort(8))


@pytest.mark.parametrize("z", [0.0, -1.0, math.nan, math.inf])
def test_impossible_multipliers_are_refused(z):
    for question in (lambda: plan_noise(z, GRID, cohort(8)), lambda: smallest_population(z, 0.5, 6, 1e-5, 8)):
        with pytest.raises(ValueError, match="noise_multiplier"):
            question()


@pytest.mark.parametrize(("clients", "q", "probability"), [(8, 0.5, 2**-8), (8, 1.0, 0.0), (8, 0.0, 1.0)])
def test_probability_of_no_contributor(clients, q, probability):
    assert probability_of_no_contributor(clients, q) == probability


# Opacus' own get_noise_multiplier(accountant="prv") answers 1.0962.
@pytest.mark.slow
@pytest.mark.parametrize(("target", "q", "rounds", "opacus"), [(4.0, 0.05, 200, 1.0962), (8.0, 1.0, 6, None)])
def test_the_solved_noise_spends_the_target_and_hardly_less(target, q, rounds, opacus):
    z = solve_noise_multiplier(target, 1e-5, q, rounds)
    assert target - 0.011 <= epsilon_after([Release(z, q, rounds)], 1e-5).value <= target
    assert opacus is None or z == pytest.approx(opacus, abs=0.005)


def test_a_target_is_found_between_noise_that_costs_more_and_noise_that_costs_nothing():
    def spent(z: float) -> float:
        return epsilon_after([Release(z, 1.0)], 0.04).value

    assert spent(8.0) > 0.02 > spent(16.0) == 0
    assert 0.02 - 0.011 <= spent(solve_noise_multiplier(0.02, 0.04, 1.0, 1)) <= 0.02


@pytest.mark.parametrize(
    "question",
    [(0.0, 1e-5, 0.5, 6), (math.nan, 1e-5, 0.5, 6), (8.0, 1.0, 0.5, 6), (8.0, 1e-5, 0.0, 6), (8.0, 1e-5, 2.0, 6)],
)
def test_unsolvable_targets_are_refused(question):
    with pytest.raises(ValueError, match=r"must|Only rounds"):
        solve_noise_multiplier(*question)


def test_no_rounds_cannot_spend_a_target():
    with pytest.raises(ValueError, match="Only rounds"):
        solve_noise_multiplier(8.0, 1e-5, 0.5, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("z", "clients"), [(1.0, 8), (4.0, 100), (1.0, 2000)])
def test_one_client_fewer_than_the_smallest_population_is_not_enough(z, clients):
    least = smallest_population(z, 0.5, 6, 1e-5, clients)

    def epsilon(population: int) -> float:
        return epsilon_after([Release(z * population / clients, 0.5, 6)], 1e-5).value

    assert epsilon(least) <= 8 < epsilon(least - 1)


@pytest.mark.parametrize(("q", "rounds"), [(0.0, 6), (0.5, 0)])
def test_where_nothing_is_released_one_client_is_enough(q, rounds):
    assert smallest_population(1.0, q, rounds, 1e-5, 8) == 1
