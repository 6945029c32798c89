"""What is proposed helps: each proposal is put back into the plan."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from federation.privacy.proposals import Adapter, fitting_ranks, least_clients, propose
from tests.federation.privacy.test_scheme import make_scheme

ADAPTER = Adapter(34401, rank=4, targets=("to_q", "to_v", "to_out.0"), mover=2912)


@pytest.mark.parametrize(("rank", "targets", "size"), [(4, 3, 34401), (1, 3, 8601), (2, 1, 6705), (8, 3, 68801)])
def test_size_follows_rank_and_targets(rank, targets, size):
    assert ADAPTER.size(rank, targets) == size
    assert ADAPTER.largest_rank(size, targets) == rank
    assert ADAPTER.largest_rank(size - 1, targets) == rank - 1


def test_ranks_are_offered_for_all_targets_and_for_fewer():
    assert fitting_ranks(ADAPTER, 6000) == [
        "no rank over to_q, to_v, to_out.0",
        "rank 1 (5,977 coordinates) over to_v, to_out.0",
        "rank 1 (3,353 coordinates) over to_out.0",
    ]


@pytest.mark.parametrize("adversary", ["active", "honest_but_curious"])
@pytest.mark.parametrize("clients", [8, 100, 1000])
def test_the_least_clients_are_enough_and_hardly_fewer_are(adversary, clients):
    scheme = make_scheme(clients, adversary=adversary)
    least = least_clients(scheme, 1.0, 34401)
    assert least >= clients
    assert scheme.with_clients(least).break_even(1.0) >= 34401
    if least > clients:
        assert scheme.with_clients(int(least * 0.9)).break_even(1.0) < 34401


def test_there_are_not_clients_enough_for_everything():
    assert least_clients(make_scheme(8, rounds=1, adversary="honest_but_curious"), 1e6, 10**9) is None


@pytest.mark.slow
def test_the_proposals_solve_the_problem():
    scheme, z = make_scheme(rate=1.0, sampling="all"), 40.0
    assert scheme.break_even(z) < ADAPTER.dimension
    smaller, clients, epsilon = propose(scheme, z, ADAPTER)
    assert "no rank over to_q" in smaller
    many = int(re.search(r"about ([\d,]+)", clients).group(1).replace(",", ""))
    assert scheme.with_clients(many).break_even(z) >= ADAPTER.dimension
    allowed = float(epsilon.split(": ")[1])
    assert scheme.break_even(scheme.solve(allowed)) >= ADAPTER.dimension


def test_an_epsilon_that_protects_nobody_is_no_proposal():
    assert "none up to 100" in propose(make_scheme(8, rate=1.0, sampling="all"), 40.0, ADAPTER)[2]


@pytest.mark.parametrize("change", [{"dimension": 1}, {"rank": 0}, {"targets": ()}])
def test_impossible_adapters_are_refused(change):
    with pytest.raises(ValueError, match="An adapter has"):
        replace(ADAPTER, **change)
