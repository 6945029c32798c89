from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from federation.privacy.card import PrivacyFacts, no_privacy_card, privacy_card, stated
from federation.privacy.cohort_counts import CohortCounts, provision
from federation.privacy.composition import Epsilon
from federation.privacy.total_delta import TotalDelta

FACTS = PrivacyFacts(
    cohort=CohortCounts(clients=8, colluders=1, honest=6),
    adversary="active",
    clip_norm=0.75,
    dimension=50_001,
    noise_multiplier=1.0,
    sampling="hidden",
    sample_rate=0.5,
    rounds=6,
    delta=TotalDelta(1e-5, 3e-25, 2e-22),
    coins_secret=Epsilon(8.1157, "prv"),
    coins_known=Epsilon(250.5, "rdp"),
    key_source="os",
    code_hash="ab" * 32,
    target_population=9,
)


def test_the_card_states_the_whole_guarantee():
    card = privacy_card(FACTS)
    for statement in (
        "one client: all its clips",
        "zero-out",
        "| epsilon, coins secret | 8.12 (PRV accountant) |",
        "| epsilon, coins known | 250.50 (RDP accountant) |",
        "| delta | 1e-05 |",
        "| delta_total | delta + 3e-25 (samplers) + 2e-22 (2^80 steps of attack) |",
        "0.75, over 50,001 coordinates",
        "hidden, 0.5",
        "| charged releases T | 6 |",
        "| clients N | 8 |",
        "| honest survivors counted on, n_min | 6; a round with fewer than n_min + c_max is refused |",
        "| collusion bound c_max | 1 of 8 clients may tell the server all they know |",
        "| server | may lie, drop, replay",
        "| P(no contributor in a round) | 0.0039;",
        "the global adapter after every round",
        f"| code | SHA-256 {'ab' * 32} |",
        "**9 clients**",
        "## Not promised",
    ):
        assert statement in card, statement


def test_a_run_can_go_on_with_the_noise_that_the_card_states():
    """The terms that rounds of a run must have in common hold six digits of it."""
    stated_noise = re.search(r"noise multiplier z \| (\S+)", privacy_card(replace(FACTS, noise_multiplier=1.2344949)))
    assert float(stated_noise.group(1)) == float(f"{1.2344949:.6g}")


def test_where_few_are_drawn_the_card_does_not_speak_as_if_all_were():
    card = privacy_card(replace(FACTS, sampling="visible", coins_secret=None))
    assert "6; this and c_max are of a round that draws all" in card
    assert "is refused" not in card


@pytest.mark.parametrize(
    ("value", "text"), [(8.111, "8.12"), (8.12, "8.12"), (0.0, "0.00"), (0.001, "0.01"), (math.inf, "no privacy")]
)
def test_an_epsilon_is_rounded_up(value, text):
    assert text in stated(Epsilon(value, "prv"))


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
    assert "coins known (everybody sees who takes part) | 250.50" in card
    assert "| epsilon, coins secret" not in card


@pytest.mark.parametrize(("clients", "is_tiny"), [(2, True), (7, True), (8, False)])
def test_a_tiny_cohort_claims_nothing_against_the_server(clients, is_tiny):
    card = privacy_card(replace(FACTS, cohort=provision(clients, 0.1, 0.1)))
    assert ("| server | nothing is claimed against it |" in card) == is_tiny
    assert (f"| collusion bound c_max | 0 of {clients} clients" in card) == is_tiny


def test_a_server_that_is_trusted_to_follow_the_protocol_is_named():
    assert "nothing is claimed against one that lies" in privacy_card(replace(FACTS, adversary="honest_but_curious"))


def test_the_population_is_named_only_when_asked_for():
    assert "from N'" not in privacy_card(replace(FACTS, target_population=None))


def test_no_released_round_still_makes_a_card():
    nothing = Epsilon(0.0, "prv")
    assert "| charged releases T | 0 |" in privacy_card(
        replace(FACTS, rounds=0, coins_secret=nothing, coins_known=nothing)
    )


def test_privacy_off_is_loud():
    assert "PRIVACY WAS OFF" in no_privacy_card()
    assert "epsilon, coins" not in no_privacy_card()
