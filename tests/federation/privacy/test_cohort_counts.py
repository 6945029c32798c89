"""Only honest survivors' noise counts: the rule holds whoever drops out, and the product rule does not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.privacy.cohort_counts import TINY_COHORT, CohortCounts, provision


@pytest.mark.parametrize(
    ("clients", "colluding", "dropout", "expected"),
    [
        (100, 0.33, 0.2, CohortCounts(100, 33, 47)),
        (100, 0.1, 0.1, CohortCounts(100, 10, 80)),
        (30, 0.1, 0.1, CohortCounts(30, 3, 24)),  # in binary, 0.1 * 30 > 3
        (8, 0.1, 0.1, CohortCounts(8, 1, 6)),
        (8, 0.0, 0.0, CohortCounts(8, 1, 7)),  # one client may always collude
        (7, 0.5, 0.1, CohortCounts(7, 0, 6)),
        (3, 0.1, 0.1, CohortCounts(3, 0, 2)),
        (1, 0.1, 0.1, CohortCounts(1, 0, 1)),
    ],
)
def test_what_is_provided_for(clients, colluding, dropout, expected):
    assert provision(clients, colluding, dropout) == expected


def honest_survivors(cohort: CohortCounts, dropout: float) -> int:
    """Return how many honest clients are left when all that may drop out do, and colluders never."""
    return cohort.clients - math.floor(dropout * cohort.clients) - cohort.colluders


def product_rule(clients: int, colluding: float, dropout: float) -> CohortCounts:
    """The fault: as if dropped and colluding clients were drawn independently."""
    honest = math.floor(clients * (1 - dropout) * (1 - colluding))
    return CohortCounts(clients, min(math.ceil(colluding * clients), clients - honest), honest)


shares = st.integers(0, 40).map(lambda percent: percent / 100)


@pytest.mark.slow
@given(st.integers(TINY_COHORT, 500), shares, shares)
def test_the_worst_round_that_is_not_refused_has_the_noise_counted_on(clients, colluding, dropout):
    try:
        cohort = provision(clients, colluding, dropout)
    except ValueError:
        return
    assert honest_survivors(cohort, dropout) >= cohort.honest >= 1
    assert cohort.least_survivors - cohort.colluders == cohort.honest
    assert cohort.colluders >= max(1, colluding * clients - 1e-9)


def test_the_check_sees_the_product_rule():
    faulty = product_rule(100, 0.33, 0.2)
    assert honest_survivors(faulty, 0.2) == 47 < faulty.honest == 53


@pytest.mark.parametrize("clients", [8, 10, 20])
def test_shares_that_leave_nobody_to_count_on_are_refused(clients):
    with pytest.raises(ValueError, match=r"honest ones must survive. Got -?\d+. Lower `--security"):
        provision(clients, 0.5, 0.5)


@pytest.mark.parametrize(("option", "share"), [("colluding_share", 1.0), ("dropout_share", -0.1)])
def test_impossible_shares_are_refused(option, share):
    with pytest.raises(ValueError, match=rf"`--security.{option}` must lie in \[0, 1\). Got {share}"):
        provision(8, **{"colluding_share": 0.1, "dropout_share": 0.1, option: share})


@pytest.mark.parametrize("numbers", [(0, 0, 1), (8, -1, 4), (8, 1, 0), (8, 4, 5)])
def test_impossible_cohorts_are_refused(numbers):
    with pytest.raises(ValueError, match=r"Got -?\d"):
        CohortCounts(*numbers)
