"""The budget: charged before the sum, never exceeded, remembered over a resume, honest on its card."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from callbacks.budget import PrivacyBudget
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.exchange import WireSum
from federation.privacy import composition
from federation.privacy.accountant import Release, epsilon_after, epsilon_with_known_coins
from federation.privacy.chain import GENESIS
from federation.privacy.ledger import Ledger
from federation.rounds import FederatedRounds
from tests.callbacks.parts import CLIENTS, make_pipeline, make_state, make_updates, send
from tests.tiny import TinyData, TinyModule, tiny_fabric

DELTA = 1e-5


@pytest.fixture
def no_search(monkeypatch):
    """Leave out the search for a population, which takes a second and is tested where it is made."""
    monkeypatch.setattr("federation.privacy.summary.smallest_population", lambda *args: 9)


def make_budget(folder, rate=0.5, sampling="hidden", z=1.0, clients=8, trainable="adapter", **privacy) -> PrivacyBudget:
    agreed = AgreedSettings(
        PrivacyArgs(**({"key_source": "seeded", "noise_multiplier": z} | privacy)),
        FederationArgs(sampling=sampling, sample_rate=rate, trainable=trainable),
        AggregationArgs(),
        SecurityArgs(),
        ClippingArgs(),
    )
    return PrivacyBudget(folder, agreed, clients, simulation=True)


@pytest.mark.parametrize(
    ("trainable", "size", "drowns"), [("backbone", 50, False), ("backbone", 10_000, True), ("adapter", 10_000, False)]
)
def test_a_denoiser_that_would_drown_in_noise_is_refused_before_anybody_trains(tmp_path, trainable, size, drowns):
    budget = make_budget(tmp_path, trainable=trainable)
    state = replace(make_state(), global_adapter=torch.zeros(size))
    with pytest.raises(ValueError, match=r"may be 10 times .* Got 39 times") if drowns else nullcontext():
        budget.on_run_start(state)
    assert (tmp_path / "privacy_ledger.jsonl").exists() is False


def run_rounds(budget: PrivacyBudget, rounds: int, notes: dict | None = None) -> list:
    """Run a budget through rounds without training and return the states of those that were released."""
    state, released = make_state(), []
    state.notes = notes or {}
    budget.on_run_start(state)
    for index in range(len(budget.ledger.entries), rounds):
        notes, state = state.notes, make_state(index)
        state.notes = notes
        budget.on_round_start(state)
        if state.stop:
            break
        budget.on_release(state)
        budget.on_round_end(state)
        released.append(state)
    budget.on_run_end(state)
    return released


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("allowed", [1, 3])
def test_the_run_stops_exactly_at_the_last_round_within_the_budget(tmp_path, allowed):
    within = epsilon_after([Release(1.0, 0.5, allowed)], DELTA).value
    assert len(run_rounds(make_budget(tmp_path / "exact", max_epsilon=within), 6)) == allowed
    assert len(run_rounds(make_budget(tmp_path / "below", max_epsilon=within - 1e-6), 6)) == allowed - 1


@pytest.mark.slow
def test_no_client_trains_in_a_round_that_cannot_be_released(tmp_path):
    budget, state = make_budget(tmp_path, max_epsilon=0.1), make_state()
    budget.on_run_start(state)
    budget.on_round_start(state)
    assert state.stop
    assert not budget.ledger.entries


class ChargesAfterTheSum(PrivacyBudget):
    """The fault: a crash between sum and charge would release a round for nothing."""

    def on_release(self, state):
        pass

    def on_aggregate(self, state, aggregate):
        super().on_release(state)


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("faulty", [False, True])
def test_the_charge_is_on_disk_before_the_sum_is_formed(tmp_path, monkeypatch, faulty):
    pipeline, ledger, charged = make_pipeline(tmp_path), tmp_path / "privacy_ledger.jsonl", []
    if faulty:
        pipeline[0].__class__ = ChargesAfterTheSum

    def watched(name):
        original = getattr(WireSum, name)

        def step(*args):
            charged.append(len(Ledger(ledger).entries))
            return original(*args)

        monkeypatch.setattr(WireSum, name, step)

    watched("add")
    watched("over_devices")
    federation = FederationArgs(rounds=2, local_steps=1)
    rounds = FederatedRounds(
        tiny_fabric(),
        TinyModule(),
        TinyData(CLIENTS),
        AgreedSettings(PrivacyArgs(), federation, AggregationArgs(), SecurityArgs(), ClippingArgs()),
        pipeline=pipeline,
        observers=[],
        checkpoint_dir=tmp_path / "checkpoints",
    )
    rounds.run()
    assert (set(charged) == {1, 2}) is not faulty


@pytest.mark.slow
def test_a_round_that_is_tried_again_is_charged_again_under_a_new_attempt(tmp_path):
    for expected in range(3):
        budget, state = make_budget(tmp_path), make_state()
        budget.on_run_start(state)
        budget.on_round_start(state)
        budget.on_release(state)
        assert state.attempt == expected
    assert len(budget.ledger.entries) == 3


def test_an_attempt_that_is_aborted_before_its_release_costs_nothing(tmp_path):
    for expected in range(3):
        budget, state = make_budget(tmp_path), make_state()
        budget.on_run_start(state)
        budget.on_round_start(state)
        assert state.attempt == expected
    assert not budget.ledger.entries


@pytest.mark.slow
def test_the_last_attempt_that_fits_the_budget_is_the_last_that_is_released(tmp_path):
    within = epsilon_after([Release(1.0, 0.5, 2)], DELTA).value
    budget, state = make_budget(tmp_path, max_epsilon=within), make_state()
    budget.on_run_start(state)
    budget.on_round_start(state)
    for _ in range(2):
        budget.on_release(state)
        state.attempt = budget.ledger.begin(0)
    budget.on_release(state)
    assert state.stop
    assert len(budget.ledger.entries) == 2


@pytest.mark.slow
def test_a_round_is_charged_at_the_noise_of_its_survivors(tmp_path):
    budget, state = make_budget(tmp_path), make_state()
    budget.on_run_start(state)
    budget.on_round_start(state)
    state.clients = state.clients[:4]
    budget.on_release(state)
    entry = budget.ledger.entries[0]
    assert entry.noise_multiplier == pytest.approx((3 / 6) ** 0.5)
    assert entry.notes["survivors"] == 4


def test_the_context_of_a_round_can_hold_the_head_before_the_charge(tmp_path):
    budget, state = make_budget(tmp_path), make_state()
    budget.on_run_start(state)
    budget.on_round_start(state)
    before = state.notes["ledger_head"]
    budget.on_release(state)
    assert len({before, state.notes["ledger_head"], GENESIS}) == 3


def test_a_delta_that_the_samplers_could_use_up_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Raise it"):
        make_budget(tmp_path, delta=1e-30).on_run_start(make_state())


@pytest.fixture
def asked(monkeypatch):
    """Count what opacus is asked, and answer nothing true."""
    asked = []
    monkeypatch.setattr(composition, "_opacus_epsilon", lambda *args, **options: asked.append(args[1]) or 1.0)
    composition.compose.cache_clear()
    yield asked
    composition.compose.cache_clear()


@pytest.mark.usefixtures("no_search")
def test_the_two_epsilons_of_a_round_are_computed_once(tmp_path, asked):
    run_rounds(make_budget(tmp_path, z=1.7, rate=0.3), 3)
    assert len(asked) == 2 * len(set(asked))  # by RDP at low orders, then by PRV
    assert len(set(asked)) == 3 + 3  # secret and known after 1, 2, 3 rounds


@pytest.mark.usefixtures("no_search")
def test_a_resumed_run_goes_on_counting_and_refuses_a_shortened_ledger(tmp_path):
    first = run_rounds(make_budget(tmp_path, sampling="all"), 2)
    resumed = run_rounds(make_budget(tmp_path, sampling="all"), 4, notes=first[-1].notes)
    whole = run_rounds(make_budget(tmp_path / "whole", sampling="all"), 4)
    assert resumed[-1].metrics["released/epsilon"] == whole[-1].metrics["released/epsilon"]
    ledger = tmp_path / "privacy_ledger.jsonl"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(ValueError, match="lines are missing"):
        run_rounds(make_budget(tmp_path, sampling="all"), 5, notes=resumed[-1].notes)


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("sampling", ["hidden", "visible", "all"])
def test_both_epsilons_are_those_of_the_sampling(tmp_path, sampling):
    metrics = run_rounds(make_budget(tmp_path, sampling=sampling), 3)[-1].metrics
    rate = 1.0 if sampling == "all" else 0.5
    secret = epsilon_after([Release(1.0, rate, 3)], DELTA).value
    known = epsilon_with_known_coins([Release(1.0, rate, 3)], DELTA, len(CLIENTS)).value
    assert metrics["released/epsilon_coins_known"] == known
    assert metrics["released/epsilon"] == (known if sampling == "visible" else secret)
    assert ("released/epsilon_coins_secret" in metrics) is (sampling != "visible")
    assert ("| epsilon, coins secret |" in (tmp_path / "privacy_card.md").read_text()) is (sampling != "visible")


def test_known_coins_are_counted_for_all_who_are_enrolled(tmp_path):
    """Of a hundred rounds, a bound that all clients keep to is above that of one."""
    budget, state, releases = make_budget(tmp_path), make_state(), [Release(8.0, 0.2, 100)]
    budget.on_run_start(state)
    budget.ledger = SimpleNamespace(releases=releases)
    budget.on_round_end(state)
    known, of_one = (epsilon_with_known_coins(releases, DELTA, clients).value for clients in (len(CLIENTS), 1))
    assert state.metrics["released/epsilon_coins_known"] == known > of_one


def go_on(budget: PrivacyBudget, notes: dict) -> None:
    state = make_state(2)
    state.notes = notes
    budget.on_run_start(state)


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sampling": "visible"}, "--federation.sampling visible; it was hidden"),
        ({"rate": 0.25}, "--federation.sample_rate 0.25; it was 0.5"),
        ({"z": 2.0}, "--privacy.noise_multiplier 2.0; it was 1.0"),
        ({"key_source": "os"}, "--privacy.key_source os; it was seeded"),
        ({"clients": 9}, "number of clients 9; it was 8"),
    ],
)
def test_a_run_cannot_go_on_under_terms_its_first_rounds_did_not_have(tmp_path, change, named):
    """One card would claim secret coins, or keys of the operating system, for rounds that had neither."""
    notes = run_rounds(make_budget(tmp_path), 2)[-1].notes
    notes = json.loads(json.dumps(notes))  # as a checkpoint keeps them
    with pytest.raises(ValueError, match=named):
        go_on(make_budget(tmp_path, **change), notes)
    go_on(make_budget(tmp_path, max_epsilon=1e9, delta=1e-6), notes)


@pytest.mark.usefixtures("no_search")
def test_privacy_cannot_be_turned_on_or_off_between_rounds(tmp_path):
    notes = run_rounds(make_budget(tmp_path), 2)[-1].notes
    off, state = make_pipeline(tmp_path, enabled=False)[0], make_state(2)
    state.notes = notes
    with pytest.raises(ValueError, match=r"Got --privacy\.enabled False; it was True"):
        off.on_run_start(state)
    state = make_state()
    off.on_run_start(state)
    with pytest.raises(ValueError, match=r"Got --privacy\.enabled True; it was False"):
        go_on(make_budget(tmp_path / "other"), state.notes)
    with pytest.raises(ValueError, match=r"Got --privacy\.enabled True; it was not set"):
        go_on(make_budget(tmp_path / "old"), {})  # a run of before this was recorded


def test_the_card_knows_a_charge_before_its_sum_exists_and_needs_no_end(tmp_path):
    budget, state, card = make_budget(tmp_path), make_state(), tmp_path / "privacy_card.md"
    budget.on_run_start(state)
    for index in range(2):
        notes, state = state.notes, make_state(index)
        state.notes = notes
        budget.on_round_start(state)
        budget.on_release(state)
        assert f"| charged releases T | {index + 1} |" in card.read_text()


def test_few_clients_need_to_be_allowed(tmp_path):
    with pytest.raises(ValueError, match="at least 8 clients"):
        make_budget(tmp_path, clients=7)
    make_budget(tmp_path, clients=7, allow_tiny_cohort=True)


@pytest.mark.slow
def test_the_card_says_that_seeded_keys_protect_nobody_and_how_many_clients_it_takes(tmp_path, capsys):
    run_rounds(make_budget(tmp_path), 6)
    card, said = (tmp_path / "privacy_card.md").read_text(), capsys.readouterr()
    assert "PROTECT NOBODY" in card
    assert "Simulation" in card
    assert "protects nobody" in said.err
    assert "9 clients on" in said.out
    assert "9 clients" in card


def test_only_rank_0_keeps_a_ledger(tmp_path):
    budget, state = make_budget(tmp_path), make_state()
    state.is_main = False
    for hook in (budget.on_run_start, budget.on_round_start, budget.on_release, budget.on_round_end, budget.on_run_end):
        hook(state)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_the_checkpoint_carries_the_head_of_the_ledger(tmp_path):
    state = run_rounds(make_budget(tmp_path), 1)[0]
    last = (tmp_path / "privacy_ledger.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["round"] == 0
    assert len(state.notes["ledger_head"]) == 64


def test_a_run_without_privacy_is_loud(tmp_path, capsys):
    pipeline, state, updates = make_pipeline(tmp_path, enabled=False), make_state(), make_updates()
    send(pipeline, state, updates)
    pipeline[0].on_run_end(state)
    assert "PRIVACY IS OFF" in capsys.readouterr().err
    assert "PRIVACY WAS OFF" in (tmp_path / "privacy_card.md").read_text()
