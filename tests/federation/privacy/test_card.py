from __future__ import annotations

from dataclasses import replace

import pytest

from federation.privacy.accountant import Epsilon
from federation.privacy.card import PrivacyFacts, no_privacy_card, privacy_card

FACTS = PrivacyFacts(
    clients=8,
    colluders=1,
    honest=7,
    clip_norm=0.75,
    dimension=50_001,
    noise_multiplier=1.0,
    sampling="hidden",
    sample_rate=0.5,
    rounds=6,
    delta=1e-5,
    coins_secret=Epsilon(8.1157, "prv"),
    coins_known=Epsilon(250.5, "rdp"),
    key_source="os",
    target_population=9,
)


def test_the_card_states_the_whole_guarantee():
    card = privacy_card(FACTS)
    for statement in (
        "one client: all its clips",
        "zero-out",
        "| epsilon, coins secret | 8.12 (PRV accountant) |",
        "| epsilon, coins known | 250.50 (RDP accountant) |",
        "1e-05",
        "0.75, over 50,001 coordinates",
        "hidden, 0.5",
        "| released rounds T | 6 |",
        "| honest clients counted on n_min | 7 (up to c_max = 1 may collude) |",
        "| P(no contributor in a round) | 0.0039 |",
        "the global adapter after every round",
        "**9 clients**",
    ):
        assert statement in card, statement


def test_the_card_is_a_function_of_the_facts():
    assert privacy_card(FACTS) == privacy_card(replace(FACTS))


def test_seeded_keys_protect_nobody_and_the_card_says_so():
    assert "SEEDED KEYS PROTECT NOBODY" in privacy_card(replace(FACTS, key_source="seeded"))
    assert "SEEDED" not in privacy_card(FACTS)


def test_a_simulation_says_whom_epsilon_concerns():
    sentence = "Simulation: epsilon concerns only who sees the released adapters"
    assert sentence in privacy_card(FACTS)
    assert sentence not in privacy_card(replace(FACTS, simulation=False))


def test_visible_sampling_claims_no_secret_coins():
    card = privacy_card(replace(FACTS, sampling="visible", coins_secret=None))
    assert "| epsilon, coins secret | not claimed: who takes part is visible |" in card


@pytest.mark.parametrize(("clients", "is_tiny"), [(2, True), (7, True), (8, False)])
def test_a_tiny_cohort_claims_nothing_against_the_server(clients, is_tiny):
    card = privacy_card(replace(FACTS, clients=clients, honest=clients - 1))
    assert ("nothing is claimed against the" in card) == is_tiny


def test_the_population_is_named_only_when_asked_for():
    assert "from N'" not in privacy_card(replace(FACTS, target_population=None))


def test_no_released_round_still_makes_a_card():
    nothing = Epsilon(0.0, "prv")
    assert "| released rounds T | 0 |" in privacy_card(
        replace(FACTS, rounds=0, coins_secret=nothing, coins_known=nothing)
    )


def test_privacy_off_is_loud():
    assert "PRIVACY WAS OFF" in no_privacy_card()
    assert "epsilon, coins" not in no_privacy_card()
