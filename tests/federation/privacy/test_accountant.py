"""T10: opacus against the analytic Gaussian and an independent accountant; nothing unchecked reaches it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from scipy.stats import norm

from federation.privacy import composition
from federation.privacy.accountant import (
    Release,
    epsilon_after,
    epsilon_with_known_coins,
    participation_bound,
)
from federation.privacy.composition import Epsilon
from tests.federation.fuzz import is_full

DELTA = 1e-5


def analytic_gaussian(noise_multiplier: float, rounds: int, delta: float = DELTA) -> float:
    """Return the exact epsilon of unsampled Gaussian rounds (Balle and Wang 2018, theorem 8)."""
    mu = math.sqrt(rounds) / noise_multiplier
    low, high = 0.0, 1000.0
    for _ in range(100):
        epsilon = (low + high) / 2
        spent = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu))
        low, high = (epsilon, high) if spent > delta else (low, epsilon)
    return high


def agrees(value: float, exact: float) -> bool:
    """Never below the truth, at most 0.02 above."""
    return exact <= value <= exact + 0.02


@pytest.mark.parametrize(("z", "rounds"), [(1.0, 6), (1.45, 31), (3.0, 1), (10.0, 40), (0.7, 3)])
def test_without_sampling_epsilon_is_the_analytic_gaussians(z, rounds):
    epsilon = epsilon_after([Release(z, 1.0, rounds)], DELTA)
    assert epsilon.method == "prv"
    assert agrees(epsilon.value, analytic_gaussian(z, rounds))


GRID = json.loads(Path(__file__).with_name("pld_grid.json").read_text())
DIAGONAL = [point for number, point in enumerate(GRID["points"]) if number % 5 == number // 5 % 5]
"""A point of each of the ten runs whose noise the grid varies; their epsilons go from 0.1 to 19.7."""


def disagreements(share_of_noise: float = 1.0, rate: float = 1.0, missing: int = 0, points=GRID["points"]) -> list:
    """Return the points of the grid whose epsilon is not the other accountant's; the arguments are faults."""
    failed = []
    for point in points:
        if point["rounds"] <= missing or point["q"] * rate > 1:
            continue
        release = Release(point["z"] * share_of_noise, point["q"] * rate, point["rounds"] - missing)
        if not agrees(epsilon_after([release], point["delta"]).value, point["epsilon"]):
            failed.append(point)
    return failed


def test_the_grid_covers_what_runs_spend():
    epsilons = [point["epsilon"] for point in GRID["points"]]
    assert (GRID["package"], GRID["version"], len(epsilons)) == ("dp-accounting", "0.6.0", 50)
    assert 0.1 <= min(epsilons) < 0.11
    assert 19 < max(epsilons) <= 20
    assert len({(point["q"], point["rounds"], point["delta"]) for point in GRID["points"]}) == 10


@pytest.mark.slow
def test_epsilon_agrees_with_an_independent_accountant():
    """At ten of the fifty points in the suite; at all under `make audit` and in `benchmarks/privacy.py`."""
    assert not disagreements(points=GRID["points"] if is_full() else DIAGONAL)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [{"share_of_noise": 0.5}, {"share_of_noise": 2}, {"rate": 0.5}, {"missing": 1}])
def test_the_comparison_sees_wrong_noise_a_wrong_rate_and_a_missing_round(fault):
    points = [point for point in GRID["points"] if point["rounds"] in (6, 10)][-1:]
    assert disagreements(points=points, **fault) == points


def test_epsilon_stays_below_the_published_moments_accountant():
    # Abadi et al. 2016, section 3.2 and figure 2: q = 0.01, sigma = 4, T = 10,000, delta = 1e-5 cost 1.26.
    epsilon = epsilon_after([Release(4.0, 0.01, 10_000)], DELTA)
    assert 0.8 < epsilon.value < 1.26


@pytest.mark.slow
@pytest.mark.parametrize(("z", "q", "rounds"), [(0.05, 0.5, 5), (0.5, 0.5, 1000)])
def test_where_prv_is_infinite_rdp_answers_and_is_named(z, q, rounds):
    epsilon = epsilon_after([Release(z, q, rounds)], DELTA)
    assert epsilon.method == "rdp"
    assert math.isfinite(epsilon.value)
    assert epsilon.value > 200


@pytest.fixture
def forgets():
    """Have opacus asked again, and what it is made to say not remembered."""
    composition.compose.cache_clear()
    yield
    composition.compose.cache_clear()


@pytest.mark.usefixtures("forgets")
@pytest.mark.parametrize("failure", [math.inf, -math.inf, math.nan, OverflowError, RuntimeError])
def test_whatever_prv_gives_up_with_rdp_answers(monkeypatch, failure):
    from opacus.accountants.prv import PRVAccountant

    def give_up(self, **kwargs):
        if isinstance(failure, float):
            return failure
        raise failure

    monkeypatch.setattr(PRVAccountant, "get_epsilon", give_up)
    epsilon = epsilon_after([Release(1.0, 0.5, 7)], DELTA)
    assert epsilon.method == "rdp"
    assert 8.1 < epsilon.value < 12


@pytest.mark.parametrize("delta", [0.05, 0.1])
def test_what_cannot_be_told_apart_beyond_delta_costs_nothing(delta):
    """Opacus' bound is negative there."""
    assert analytic_gaussian(100.0, 1, delta) == pytest.approx(0, abs=1e-9)
    assert epsilon_after([Release(100.0, 1.0)], delta) == Epsilon(0.0, "prv")


def test_epsilon_never_rises_with_the_noise():
    epsilons = [epsilon_after([Release(z, 1.0)], 0.03).value for z in (2.0, 4.0, 8.0, 16.0, 32.0, 1000.0)]
    assert epsilons == sorted(epsilons, reverse=True)
    assert epsilons[-1] == 0


@pytest.mark.usefixtures("forgets")
@pytest.mark.parametrize("failure", [math.nan, -math.inf])
def test_what_neither_accountant_can_compute_counts_as_infinite(monkeypatch, failure):
    from opacus.accountants import RDPAccountant
    from opacus.accountants.prv import PRVAccountant

    for kind in (PRVAccountant, RDPAccountant):
        monkeypatch.setattr(kind, "get_epsilon", lambda self, **kwargs: failure)
    assert epsilon_after([Release(1.0, 0.5, 7)], DELTA) == Epsilon(math.inf, "rdp")


def test_rdp_is_asked_at_integer_orders_only():
    assert all(isinstance(order, int) and order >= 2 for order in composition.RDP_ORDERS)
    assert set(range(2, 257)) <= set(composition.RDP_ORDERS)


@pytest.mark.parametrize("releases", [[], [Release(1.0, 0.0)], [Release(1.0, 0.5, 0)]])
def test_nothing_released_costs_nothing(releases):
    assert epsilon_after(releases, DELTA) == Epsilon(0.0, "prv")
    assert epsilon_with_known_coins(releases, DELTA, 8).value == 0


@pytest.mark.parametrize(
    ("z", "q", "rounds"),
    [
        (math.nan, 0.5, 1),
        (0.0, 0.5, 1),
        (-1.0, 0.5, 1),
        (math.inf, 0.5, 1),
        (1.0, 1.5, 1),
        (1.0, -0.1, 1),
        (1.0, math.nan, 1),
        (1.0, 0.5, -1),
        (1.0, 0.5, 1.5),
    ],
)
def test_impossible_releases_never_reach_opacus(z, q, rounds):
    with pytest.raises(ValueError, match="must"):
        Release(z, q, rounds)


@pytest.mark.parametrize("delta", [0.0, 1.0, 2.0, -1e-5, math.nan])
def test_impossible_deltas_never_reach_opacus(delta):
    for question in (
        lambda: epsilon_after([Release(1.0, 0.5)], delta),
        lambda: epsilon_with_known_coins([Release(1.0, 0.5)], delta, 8),
    ):
        with pytest.raises(ValueError, match=r"privacy\.delta"):
            question()


def test_rounds_add_up_in_any_order_and_grouping():
    one_by_one = [Release(1.0, 1.0), Release(2.0, 1.0), Release(1.0, 1.0)]
    assert epsilon_after(one_by_one, DELTA) == epsilon_after([Release(2.0, 1.0), Release(1.0, 1.0, 2)], DELTA)
    assert epsilon_after([*one_by_one, Release(1.0, 1.0)], DELTA).value > epsilon_after(one_by_one, DELTA).value


def test_known_coins_count_the_participations_no_client_exceeds():
    rounds, q, clients = 100, 0.2, 100
    bound = participation_bound(rounds, q, clients, DELTA / 10)
    assert bound == 45
    epsilon = epsilon_with_known_coins([Release(1.45, q, rounds)], DELTA, clients)
    assert agrees(epsilon.value, analytic_gaussian(1.45, bound, 0.9 * DELTA))
    # Counting the mean number of participations instead would claim far too little.
    assert epsilon.value > analytic_gaussian(1.45, 20) + 5


@pytest.mark.slow
def test_known_coins_cost_no_less_than_secret_ones():
    releases = [Release(1.0, 0.5, 6)]
    assert epsilon_with_known_coins(releases, DELTA, 8).value > epsilon_after(releases, DELTA).value


def test_without_sampling_both_epsilons_are_equal():
    releases = [Release(1.0, 1.0, 6)]
    assert epsilon_with_known_coins(releases, DELTA, 8) == epsilon_after(releases, DELTA)


@pytest.mark.parametrize(("q", "bound"), [(0.0, 0), (1.0, 6), (0.5, 6)])
def test_bound_on_participations_of_few_rounds(q, bound):
    assert participation_bound(6, q, 8, 1e-6) == bound


def test_every_mixture_of_rounds_shares_the_allowance():
    mixed = [Release(10 + number / 10, 0.2, 30) for number in range(20)]
    bound = participation_bound(30, 0.2, 100, DELTA / 10 / len(mixed))
    assert bound < 30
    inverse = sum(bound / release.noise_multiplier**2 for release in mixed)
    epsilon = epsilon_with_known_coins(mixed, DELTA, 100)
    assert epsilon.value == pytest.approx(epsilon_after([Release(inverse**-0.5, 1.0)], 0.9 * DELTA).value)
