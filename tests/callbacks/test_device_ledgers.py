"""Devices count for themselves, over runs; a round goes on without those that refuse, or stops if too few are left."""

from __future__ import annotations

import pytest

from callbacks.device_ledgers import DeviceLedgers
from federation.args import PrivacyArgs, SecurityArgs
from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.cohort_counts import provision
from federation.privacy.device_ledger import Answer, DeviceLedger, device_ledger_path
from federation.privacy.ledger import RELEASED_NOTE
from federation.privacy.owner import OwnerLimits, OwnerRefusalError, SessionTerms
from federation.privacy.promise import Promise
from tests.callbacks.parts import CLIENTS, make_state

DELTA = 1e-5


def make_ledgers(folder, limits=None, sampling="hidden", z=1.0, adversary="active", **privacy) -> DeviceLedgers:
    promise = Promise(
        provision(len(CLIENTS), colluding_share=0.1, dropout_share=0.1),
        Release(z, 0.5),
        sampling,
        PrivacyArgs(delta=DELTA, **privacy),
        SecurityArgs(adversary=adversary),
    )
    terms = SessionTerms(0.5, 5, promise.least_honest, sampling, promise.privacy.key_source)
    return DeviceLedgers(folder, promise, terms, limits)


def run_rounds(ledgers: DeviceLedgers, rounds: int, clients=CLIENTS, released: bool = True) -> list:
    """Run rounds without training and return the states of those that were not stopped."""
    ledgers.on_run_start(make_state())
    states = []
    for index in range(rounds):
        state = make_state(index, clients=clients)
        state.notes = {RELEASED_NOTE: f"{index:064x}"}
        ledgers.on_round_start(state)
        if state.stop:
            break
        if released:
            ledgers.on_release(state)
        states.append(state)
    return states


def read(folder, client: str) -> DeviceLedger:
    return DeviceLedger(device_ledger_path(folder, client, "clips"), float("inf"), DELTA)


def cost(rounds: int, z: float = 1.0, q: float = 0.5) -> float:
    return epsilon_after([Release(z, q, rounds)], DELTA).value


def spend_elsewhere(folder, client: str) -> None:
    """Let a client answer once in a session with another federation."""
    read(folder, client).charge(Answer("b" * 64, 0, 0, noise_multiplier=4.0, sample_rate=1.0))


@pytest.mark.slow
def test_every_client_has_charged_every_round_of_all_runs(tmp_path):
    for _ in range(2):
        run_rounds(make_ledgers(tmp_path), 2)
    assert len(list(tmp_path.iterdir())) == len(CLIENTS)
    assert all(read(tmp_path, client).epsilon().value == cost(4) for client in CLIENTS)


@pytest.mark.slow
def test_a_run_stops_where_the_owners_allow_no_more(tmp_path, capsys):
    limits = OwnerLimits(epsilon=cost(3))
    assert len(run_rounds(make_ledgers(tmp_path, limits), 2)) == 2
    assert len(run_rounds(make_ledgers(tmp_path, limits), 2)) == 1
    assert "8 of 8 devices refuse" in capsys.readouterr().err
    assert read(tmp_path, "ann").epsilon().value == cost(3)


@pytest.mark.slow
def test_a_round_goes_on_without_the_one_that_has_spent_its_budget_elsewhere(tmp_path):
    spend_elsewhere(tmp_path, "ann")
    released = run_rounds(make_ledgers(tmp_path, OwnerLimits(epsilon=cost(1))), 1)
    assert released[0].clients == CLIENTS[1:]


@pytest.mark.slow
def test_with_too_few_willing_devices_nothing_is_released(tmp_path):
    spend_elsewhere(tmp_path, "ann")
    spend_elsewhere(tmp_path, "bob")
    assert not run_rounds(make_ledgers(tmp_path, OwnerLimits(epsilon=cost(1))), 1)


@pytest.mark.parametrize(("adversary", "rounds"), [("active", 2), ("honest_but_curious", 0)])
def test_what_was_sent_to_a_lying_server_counts_even_if_it_says_that_nothing_was_released(tmp_path, adversary, rounds):
    run_rounds(make_ledgers(tmp_path, adversary=adversary), 2, released=False)
    assert read(tmp_path, "ann").epsilon().value == cost(rounds)


def test_devices_refuse_a_server_whose_ledger_has_not_counted_the_round_before(tmp_path, capsys):
    ledgers, states = make_ledgers(tmp_path), [make_state(0), make_state(1)]
    ledgers.on_run_start(states[0])
    for state in states:
        state.notes = {RELEASED_NOTE: "a" * 64}
        ledgers.on_round_start(state)
        ledgers.on_release(state)
    assert [state.stop for state in states] == [False, True]
    assert "8 of 8 devices refuse round 2" in capsys.readouterr().err


def test_visible_participation_counts_in_full_and_absence_costs_nothing(tmp_path):
    run_rounds(make_ledgers(tmp_path, sampling="visible"), 2, clients=CLIENTS[:3])
    assert read(tmp_path, "ann").epsilon().value == cost(2, q=1.0)
    assert read(tmp_path, "hal").epsilon().value == 0


def test_owners_refuse_a_run_that_asks_for_what_they_have_not_allowed(tmp_path):
    with pytest.raises(OwnerRefusalError, match="seeded keys"):
        run_rounds(make_ledgers(tmp_path, OwnerLimits(), key_source="seeded"), 1)
    assert len(run_rounds(make_ledgers(tmp_path, key_source="seeded"), 1)) == 1


@pytest.mark.parametrize(("sampling", "is_allowed"), [("hidden", True), ("visible", False)])
def test_an_owner_who_demands_company_refuses_rounds_that_may_draw_it_alone(tmp_path, sampling, is_allowed):
    limits = OwnerLimits(honest=2, visible_sampling=True)
    if is_allowed:
        assert run_rounds(make_ledgers(tmp_path, limits, sampling), 1)
        return
    with pytest.raises(OwnerRefusalError, match="honest 1"):
        run_rounds(make_ledgers(tmp_path, limits, sampling), 1)


def test_only_rank_0_writes(tmp_path):
    ledgers, state = make_ledgers(tmp_path), make_state()
    state.is_main = False
    for hook in (ledgers.on_run_start, ledgers.on_round_start, ledgers.on_release):
        hook(state)
    assert not list(tmp_path.iterdir())
