"""What server and devices agree on before the first round; Flower itself is not needed here."""

from __future__ import annotations

import pytest
import torch

from federation.agreed_settings import AgreedSettings
from federation.args import (
    AggregationArgs,
    ClippingArgs,
    DeploymentArgs,
    FederationArgs,
    OwnerArgs,
    PrivacyArgs,
    SecurityArgs,
)
from federation.deployment.session_file import write_session
from federation.deployment.signed_settings import demand_provision, demand_signed, digest_settings, plan_session
from federation.key_source import SeededKeys
from federation.privacy.card import privacy_card
from federation.privacy.composition import Epsilon
from federation.privacy.summary import Spent, conclude, gather_facts
from federation.secure_aggregation.session import SessionConfig
from pipeline import build_pipeline, client_steps
from remote_training import EnrolledClients, demand_remote, join_devices
from settings import read_settings
from tests.federation.secure_aggregation.parties import DIGEST, make_session
from tests.tiny import NAMES
from tests.tiny_command import CONFIG, CommandModule


def agree_on(**changes):
    parts = {
        "privacy": PrivacyArgs(allow_tiny_cohort=True),
        "federation": FederationArgs(),
        "aggregation": AggregationArgs(),
        "security": SecurityArgs(),
        "clipping": ClippingArgs(),
    }
    return AgreedSettings(**(parts | changes))


@pytest.fixture
def module():
    torch.manual_seed(0)
    return CommandModule()


def make_deployment(folder, module, seed=0, agreed=None):
    session = make_session(plan_session(module, seed, agreed or agree_on(), 4), NAMES[:4])
    write_session(folder / "session.json", session)
    return DeploymentArgs(
        str(folder / "session.json"), socket=str(folder / "relay"), flower_home=str(folder / "flower")
    )


def test_a_server_joins_the_session_that_was_signed_for_its_settings(tmp_path, module, monkeypatch):
    monkeypatch.setattr("remote_training.demand_connection", lambda home, name: None)
    agreed = agree_on(security=SecurityArgs(epoch_rounds=3), federation=FederationArgs(rounds=2))
    deployment = make_deployment(tmp_path, module, agreed=agreed)
    cohort = join_devices(deployment, module, 0, agreed)
    assert cohort.epoch_rounds == 2
    assert EnrolledClients(cohort.session).clients == list(NAMES[:4])
    cohort.nodes.close()


@pytest.mark.parametrize(
    "changes", [{"federation": FederationArgs(rounds=7)}, {"security": SecurityArgs(dropout_share=0.5)}]
)
def test_what_devices_would_refuse_is_refused_before_they_are_asked(tmp_path, module, changes):
    deployment = make_deployment(tmp_path, module)
    with pytest.raises(ValueError, match="must be those of the signed session"):
        join_devices(deployment, module, 0, agree_on(**changes))


def test_without_a_session_nobody_is_asked(module):
    with pytest.raises(ValueError, match="must name a signed session"):
        join_devices(DeploymentArgs(), module, 0, agree_on())


@pytest.mark.parametrize(
    ("changes", "excess"),
    [
        ({"devices": 2}, "--devices 2:"),
        ({"clients_at_once": 4}, "--clients_at_once 4:"),
        ({"owner": OwnerArgs(limits="owner.json")}, "settings under --owner:"),
        ({"privacy": PrivacyArgs(enabled=False), "devices": 3}, "--devices 3, --privacy.enabled false:"),
        ({"federation": FederationArgs(sampling="visible")}, "--federation.sampling visible:"),
    ],
)
def test_what_devices_elsewhere_do_not_do_is_one_line(changes, excess):
    usual = {"privacy": PrivacyArgs(), "federation": FederationArgs(), "owner": OwnerArgs()}
    usual |= {"devices": 1, "clients_at_once": 1}
    demand_remote(**usual)
    with pytest.raises(ValueError, match=f"`--transport flower` must do without {excess}"):
        demand_remote(**usual | changes)


def test_the_digest_covers_settings_seed_and_model(module):
    usual = digest_settings(module, 0, agree_on())
    assert usual == digest_settings(module, 0, agree_on())
    others = {
        digest_settings(module, 1, agree_on()),
        digest_settings(module, 0, agree_on(clipping=ClippingArgs(adaptive=True))),
        digest_settings(CommandModule(), 0, agree_on()),
    }
    assert len(others | {usual}) == 4


def test_a_session_for_other_settings_is_one_line(module):
    session = make_session(SessionConfig.plan(5, 4, 0, 3, "active", DIGEST), NAMES[:4])
    with pytest.raises(ValueError, match="Use the config and the base model it was signed for"):
        demand_signed(session, module, 0, agree_on())


@pytest.mark.parametrize("numbers", [(0, 2, "active"), (1, 3, "active"), (0, 3, "honest_but_curious")])
def test_a_session_that_counts_on_noise_that_nobody_makes_is_refused(numbers):
    demand_provision(make_session(SessionConfig.plan(5, 4, 0, 3, "active", DIGEST), NAMES[:4]), agree_on())
    session = make_session(SessionConfig.plan(5, 4, *numbers, DIGEST), NAMES[:4])
    with pytest.raises(ValueError, match="must count on clients, colluders, honest ones and a server as the settings"):
        demand_provision(session, agree_on())


def test_no_session_shows_who_takes_part(module):
    with pytest.raises(ValueError, match="must be `hidden` or `all`"):
        plan_session(module, 0, agree_on(federation=FederationArgs(sampling="visible")), 4)


def test_server_and_device_take_the_same_steps(tmp_path):
    keys, agreed = SeededKeys(0), agree_on()
    pipeline = build_pipeline(keys, agreed, OwnerArgs(), clients=4, out_dir=tmp_path, remote=True)
    sampling, steps = client_steps(keys, agreed, 4)
    assert [type(step) for step in pipeline[1:]] == [type(step) for step in [*sampling, *steps]]
    assert [type(step).__name__ for step in pipeline][:2] == ["PrivacyBudget", "HiddenSampling"]


def test_the_card_of_a_deployment_does_not_speak_of_a_simulation(tmp_path, monkeypatch):
    monkeypatch.setattr("federation.privacy.summary.smallest_population", lambda *args: 9)
    cards = {}
    for remote in (True, False):
        budget, *_ = build_pipeline(SeededKeys(0), agree_on(), OwnerArgs(), clients=4, out_dir=tmp_path, remote=remote)
        spent = Spent(1, Epsilon(1.0, "prv"), Epsilon(2.0, "prv"))
        facts = gather_facts(budget.promise, spent, clip_norm=1.0, dimension=9, is_last=True)
        cards[remote] = privacy_card(facts) + conclude(facts, tmp_path / "card.md")
    assert "imulation" in cards[False]
    assert "imulation" not in cards[True]
    assert "Devices kept ledgers of their own" in cards[True]


@pytest.mark.slow
def test_settings_are_read_as_train_reads_them(tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    one, other = (read_settings(tmp_path / "tiny.yaml", "--seed", seed) for seed in ("3", "3"))
    assert one.federation == FederationArgs(rounds=2, local_steps=2)
    digests = {digest_settings(made.module, made.seed, AgreedSettings.of(made)) for made in (one, other)}
    assert len(digests) == 1
