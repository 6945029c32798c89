"""Thresholds and neighbourhoods: against an independent computation, and refused where nothing is safe."""

from __future__ import annotations

import math

import pytest
from scipy.stats import hypergeom

from federation.secure_aggregation.errors import SessionError
from federation.secure_aggregation.thresholds import (
    MOST_COMPLETE,
    Neighbourhood,
    is_safe,
    most_colluding_neighbours,
    plan_neighbourhood,
    safe_threshold,
)

COHORTS = [(200, 0.05), (200, 0.1), (1000, 0.05), (1000, 0.1), (1000, 0.2), (5000, 0.1)]


def numbers(clients: int, share: float) -> tuple[int, int, int]:
    return clients, math.ceil(share * clients), math.floor(clients * (1 - share))


@pytest.mark.parametrize(("holders", "colluders"), [(1, 0), (2, 0), (3, 0), (3, 1), (10, 1), (100, 10), (128, 64)])
def test_two_groups_with_the_colluders_never_both_reach_the_threshold(holders, colluders):
    t = safe_threshold(holders, colluders)
    honest = holders - colluders
    most = max(min(a + colluders, honest - a + colluders) for a in range(honest + 1))
    assert most < t
    assert t - 1 <= (holders + colluders) / 2, "a lower threshold would do"


@pytest.mark.parametrize("clients", [1, 2, 3, 8, 100, MOST_COMPLETE])
@pytest.mark.parametrize("adversary", ["active", "honest_but_curious"])
def test_up_to_128_clients_everybody_is_a_neighbour(clients, adversary):
    plan = plan_neighbourhood(clients, clients // 10, clients // 2 + 1, adversary)
    assert plan == Neighbourhood(clients - 1, (clients + clients // 10) // 2 + 1)


def test_an_active_server_gets_no_ring():
    with pytest.raises(SessionError, match="at most 128"):
        plan_neighbourhood(MOST_COMPLETE + 1, 13, 100, "active")
    plan = plan_neighbourhood(200, 10, 190, "honest_but_curious")
    assert is_safe(plan, 200, 10, 190, "honest_but_curious")
    assert not is_safe(plan, 200, 10, 190, "active")
    assert not is_safe(Neighbourhood(128, 100), 129, 1, 120, "active")


@pytest.mark.parametrize(("clients", "share"), COHORTS)
def test_a_planned_ring_keeps_both_probabilities(clients, share):
    n, colluders, least = numbers(clients, share)
    plan = plan_neighbourhood(n, colluders, least, "honest_but_curious")
    k, t = plan.neighbours, plan.threshold
    most = most_colluding_neighbours(k, n, colluders, least)
    many_colluders = n * hypergeom.sf(most, least - 1, colluders, k)
    falls_apart = n * hypergeom.pmf(k // 2, n, colluders + n - least, k // 2)
    assert many_colluders + falls_apart <= 2**-40
    assert n * hypergeom.sf(k - t, n - 1, n - least, k) <= 2**-30
    assert t > (k + 1 + most) / 2


def test_a_ring_of_which_many_collude_falls_apart_with_at_most_half_of_the_probability():
    """The other half is that of too many colluders in one neighbourhood."""
    n, colluders = 500, 150
    k = plan_neighbourhood(n, colluders, least_survivors=n, adversary="honest_but_curious").neighbours
    assert n * hypergeom.pmf(k // 2, n, colluders, k // 2) <= 2**-41


@pytest.mark.parametrize(("clients", "share"), COHORTS)
def test_fewer_neighbours_or_a_lower_threshold_are_refused(clients, share):
    n, colluders, least = numbers(clients, share)
    plan = plan_neighbourhood(n, colluders, least, "honest_but_curious")
    k, t = plan.neighbours, plan.threshold
    assert not is_safe(Neighbourhood(k, t - 1), n, colluders, least, "honest_but_curious")
    assert not any(is_safe(Neighbourhood(k - 2, x), n, colluders, least, "honest_but_curious") for x in range(1, k))
    assert not is_safe(Neighbourhood(k - 1, t), n, colluders, least, "honest_but_curious")
    assert not is_safe(Neighbourhood(k, k // 2), n, colluders, least, "honest_but_curious")


def test_where_nothing_is_safe_it_is_refused():
    with pytest.raises(SessionError, match="No number of neighbours"):
        plan_neighbourhood(*numbers(200, 0.33), "honest_but_curious")


def test_on_the_complete_graph_the_rule_is_exact():
    assert is_safe(Neighbourhood(99, 56), 100, 10, 90, "active")
    assert not is_safe(Neighbourhood(99, 55), 100, 10, 90, "active")
    assert not is_safe(Neighbourhood(99, 101), 100, 10, 90, "active")
