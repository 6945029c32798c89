from __future__ import annotations

import math

import pytest

from federation.privacy.accountant import Release, epsilon_after, epsilon_with_known_coins
from federation.privacy.scheme import Scheme


def make_scheme(clients=100, rate=0.2, rounds=100, **changes) -> Scheme:
    settings = {"delta": 1e-5, "sampling": "hidden", "adversary": "active", "colluding_share": 0.1}
    return Scheme(clients, rate, rounds, **{**settings, "dropout_share": 0.1, **changes})


@pytest.mark.parametrize(
    ("clients", "rate", "rounds", "z", "coordinates"), [(100, 0.2, 100, 1.445, 1723), (1000, 0.1, 200, 1.13, 141_000)]
)
def test_noise_as_it_is_planned_for_breaks_even_where_the_rule_says(clients, rate, rounds, z, coordinates):
    scheme = make_scheme(clients, rate, rounds, adversary="honest_but_curious")
    assert scheme.break_even(z) * scheme.excess() ** 2 == pytest.approx(coordinates, rel=0.01)
    assert scheme.noise_to_signal(z, scheme.break_even(z)) == pytest.approx(1, rel=0.01)


def test_noise_to_signal_shrinks_with_rounds_and_grows_with_coordinates():
    scheme = make_scheme()
    assert scheme.noise_to_signal(1.0, 400) == pytest.approx(2 * scheme.noise_to_signal(1.0, 100))
    assert scheme.noise_to_signal(1.0, 400, rounds=1) == pytest.approx(10 * scheme.noise_to_signal(1.0, 400))


def test_the_noise_of_clients_that_may_drop_out_or_collude_is_in_the_sum_too():
    assert make_scheme().excess() == pytest.approx(math.sqrt(100 / 80))


@pytest.mark.parametrize(("clients", "cohorts", "size"), [(128, 1, 128), (129, 2, 64), (1000, 8, 125)])
def test_against_an_active_server_every_128_clients_are_a_cohort_with_noise_of_its_own(clients, cohorts, size):
    scheme = make_scheme(clients)
    assert (scheme.cohorts, scheme.cohort.clients) == (cohorts, size)
    assert scheme.excess() == pytest.approx(math.sqrt(cohorts * size / scheme.cohort.honest))
    assert make_scheme(clients, adversary="honest_but_curious").cohorts == 1


def test_both_epsilons_are_those_of_the_accountant():
    releases = [Release(4.0, 0.2, 10)]
    secret, known = make_scheme(rounds=10).epsilons(4.0)
    assert secret == epsilon_after(releases, 1e-5)
    assert known == epsilon_with_known_coins(releases, 1e-5, 100)
    assert make_scheme(rounds=10, sampling="visible").epsilons(4.0) == (None, known)


def test_visible_sampling_is_planned_for_known_coins():
    scheme = make_scheme(sampling="visible")
    assert 3.9 < scheme.epsilons(scheme.solve(4.0))[1].value <= 4.0


@pytest.mark.parametrize(
    "changes", [{"clients": 0}, {"rounds": 0}, {"rate": 2.0}, {"rate": -0.1}, {"delta": 0.0}, {"delta": 0.01}]
)
def test_impossible_schemes_are_refused(changes):
    with pytest.raises(ValueError, match="must"):
        make_scheme(**changes)


def test_more_clients_keep_a_delta_that_no_client_fills_alone():
    assert make_scheme().with_clients(10**6).delta == 0.5e-6
    assert make_scheme().with_clients(200).delta == 1e-5
