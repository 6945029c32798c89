"""A run's folder: a real one passes, and every way of cooking its books or leaking into it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from federation.privacy.accountant import epsilon_after
from federation.privacy.audit.run_checks import check_run
from federation.privacy.audit.run_folder import CONFIG, RunFolder
from federation.privacy.card import CARD
from federation.privacy.chain import HashChain
from federation.privacy.ledger import LEDGER, Ledger


def failures(run: Path) -> dict[str, str]:
    return {verdict.check: verdict.detail for verdict in check_run(RunFolder.open(run)) if not verdict.passed}


@pytest.mark.slow
def test_a_run_that_kept_its_promises_passes(run):
    opened = RunFolder.open(run)
    assert not failures(run)
    assert len(check_run(opened)) == 7
    terms = opened.terms
    assert (terms.clients, terms.noise_multiplier, terms.sample_rate) == (8, 2.0, 0.5)
    assert (terms.clip_norm, terms.dimension, terms.delta) == (1.0, 21, 1e-5)


@pytest.mark.slow
def test_a_clip_norm_that_moves_is_no_leak(run):
    note_steps_of_a_clip_norm_that_stands_still(run)
    change_settings(run, clipping={"adaptive": True})
    assert "the server's part holds nothing of one client" not in failures(run)
    path = newest(run) / "server.json"
    path.write_text(path.read_text().replace("0.2", "0.2, 0.3"))
    assert "clip_steps" in failures(run)["the server's part holds nothing of one client"]


@pytest.mark.slow
def test_an_owner_who_refused_has_no_line_where_the_release_counts_it_as_missing(run):
    roll_back_a_device(run)
    rewrite_ledger(run, lambda entries: [entries[0], entries[1] | {"survivors": 7}])
    assert DEVICE_LEDGERS not in failures(run)
    roll_back(sorted((run / "devices").glob("*.jsonl"))[1])
    assert "1 ledgers lack attempt 0 of round 2" in failures(run)[DEVICE_LEDGERS]


def change_settings(run: Path, **sections: object) -> None:
    settings = yaml.safe_load((run / CONFIG).read_text())
    (run / CONFIG).write_text(yaml.safe_dump(settings | sections))


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [{"transport": "flower"}, {"owner": {"ledgers": "shared"}}])
def test_ledgers_that_are_elsewhere_are_not_asked_for(run, elsewhere):
    shutil.rmtree(run / "devices")
    assert "0 of 8" in failures(run)[DEVICE_LEDGERS]
    change_settings(run, **elsewhere)
    assert DEVICE_LEDGERS not in {verdict.check for verdict in check_run(RunFolder.open(run))}


@pytest.mark.slow
def test_epsilon_is_the_ledgers_and_not_the_cards(run):
    opened = RunFolder.open(run)
    spent = epsilon_after(Ledger(run / LEDGER).releases, opened.privacy.delta).value
    assert opened.number("epsilon, coins secret") == pytest.approx(spent, abs=0.01)


def rewrite_ledger(run: Path, change: Callable[[list[dict]], list[dict]]) -> None:
    """Write the releases anew, as whoever can rewrite every checkpoint's head as well."""
    entries = [entry.values for entry in Ledger(run / LEDGER).entries]
    (run / LEDGER).unlink()
    ledger = Ledger(run / LEDGER)
    for values in change(entries):
        values = {name: value for name, value in values.items() if name != "event"}
        ledger.charge(**values)
    for path in run.glob("checkpoints/round_*/server.json"):
        server = json.loads(path.read_text())
        server["notes"]["ledger_head"] = ledger.head
        path.write_text(json.dumps(server))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def roll_back_ledger(run):
    lines = (run / LEDGER).read_bytes().splitlines(keepends=True)
    (run / LEDGER).write_bytes(b"".join(lines[:-2]))


def alter_ledger(run):
    edit(run / LEDGER, '"noise_multiplier": 2.0', '"noise_multiplier": 9.0')


def remove_ledger(run):
    (run / LEDGER).unlink()


def skip_a_charge(run):
    rewrite_ledger(run, lambda entries: entries[:1])


def charge_half_the_rate(run):
    rewrite_ledger(run, lambda entries: [entry | {"sample_rate": 0.25} for entry in entries])


def charge_more_noise(run):
    rewrite_ledger(run, lambda entries: [entry | {"noise_multiplier": 4.0} for entry in entries])


def device_ledger(run: Path) -> Path:
    return sorted((run / "devices").glob("*.jsonl"))[0]


def lose_a_device(run):
    device_ledger(run).unlink()


def roll_back_a_device(run):
    roll_back(device_ledger(run))


def roll_back(path: Path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def alter_a_device(run):
    edit(device_ledger(run), '"noise_multiplier": 2.0', '"noise_multiplier": 9.0')


def let_a_device_pay_less(run):
    lines = HashChain(device_ledger(run)).lines
    device_ledger(run).unlink()
    chain = HashChain(device_ledger(run))
    for line in lines:
        chain.append({**line, "sample_rate": 0.1})


def understate(run):
    claimed = RunFolder.open(run).number("epsilon, coins secret")
    edit(run / CARD, f"| {claimed:.2f} (", f"| {claimed / 2:.2f} (")


def understate_known_coins(run):
    claimed = RunFolder.open(run).number("epsilon, coins known")
    edit(run / CARD, f"| {claimed:.2f} (", f"| {claimed - 0.05:.2f} (")


def newest(run: Path) -> Path:
    return sorted((run / "checkpoints").glob("round_*"))[-1]


def keep_identity_on_the_server(run):
    server, state = newest(run) / "server.safetensors", load_file(newest(run) / "clients/ann/state.safetensors")
    save_file(load_file(server) | {"identity.ann": state["personal.0"]}, server)


def hide_identity_in_the_adapter(run):
    server, state = newest(run) / "server.safetensors", load_file(newest(run) / "clients/bob/state.safetensors")
    tensors = load_file(server)
    private = state["personal.0"].ravel()
    tensors["global_adapter"] = np.r_[private, tensors["global_adapter"][private.size :]].astype(np.float32)
    save_file(tensors, server)


def note_an_embedding(run):
    path = newest(run) / "server.json"
    server = json.loads(path.read_text())
    server["notes"]["faces"] = {"ann": [0.1, 0.2, 0.3]}
    path.write_text(json.dumps(server))


def release_a_loss(run):
    with (run / "metrics.csv").open("a") as file:
        file.write("1,local/loss/ann,0.5\n")


def release_local_events(run):
    with next((run / "released").glob("events*")).open("ab") as file:
        file.write(b"local/loss")


def mix_figures(run):
    with (run / "local" / "metrics.csv").open("a") as file:
        file.write("1,released/epsilon,0.5\n")


def conceal_the_seed(run):
    edit(run / CARD, "SEEDED KEYS PROTECT NOBODY", "Keys are fine")


def conceal_the_simulation(run):
    edit(run / CARD, "Simulation:", "Deployment:")


def note_steps_of_a_clip_norm_that_stands_still(run):
    path = newest(run) / "server.json"
    server = json.loads(path.read_text())
    server["notes"]["clip_steps"] = [[0.1, 8], [0.2, 8]]
    path.write_text(json.dumps(server))


DEVICE_LEDGERS = "every client's own ledger covers the releases"
BROKEN = [
    (roll_back_ledger, "the ledger is whole", "missing"),
    (alter_ledger, "the ledger is whole", "altered"),
    (remove_ledger, "the ledger is whole", "missing"),
    (skip_a_charge, "every released round is charged in full", "round 2 was released and not charged"),
    (charge_half_the_rate, "every released round is charged in full", "a sample rate of 0.25, not 0.5"),
    (charge_more_noise, "every released round is charged in full", "noise 4, not 2"),
    (lose_a_device, DEVICE_LEDGERS, "7 of 8 clients"),
    (roll_back_a_device, DEVICE_LEDGERS, "1 ledgers lack attempt 0 of round 2"),
    (alter_a_device, DEVICE_LEDGERS, "altered"),
    (let_a_device_pay_less, DEVICE_LEDGERS, "paid less for round 1"),
    (understate, "the card claims what the ledger spent", "is claimed"),
    (understate_known_coins, "the card claims what the ledger spent", "coins known"),
    (keep_identity_on_the_server, "the server's part holds nothing of one client", "holds `identity.ann`"),
    (hide_identity_in_the_adapter, "the server's part holds nothing of one client", "numbers of bob's"),
    (note_an_embedding, "the server's part holds nothing of one client", "notes.faces.ann"),
    (note_steps_of_a_clip_norm_that_stands_still, "the server's part holds nothing of one client", "clip_steps"),
    (release_a_loss, "figures are released or local, never both", "metrics.csv holds `local/loss/ann`"),
    (release_local_events, "figures are released or local, never both", "holds local figures"),
    (mix_figures, "figures are released or local, never both", "holds `released/epsilon`"),
    (conceal_the_seed, "the card says what weakens it", "keys were seeded"),
    (conceal_the_simulation, "the card says what weakens it", "one machine"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "check", "reason"), BROKEN, ids=lambda part: getattr(part, "__name__", ""))
def test_what_is_wrong_is_named(run, spoil, check, reason):
    spoil(run)
    assert reason in failures(run)[check]


def claim_no_privacy(run):
    edit(run / CONFIG, "  enabled: true", "  enabled: false")


def lose_the_card(run):
    (run / CARD).unlink()


def empty_the_card(run):
    (run / CARD).write_text("# Privacy card\n")


def lose_the_rounds(run):
    shutil.rmtree(run / "checkpoints")


def lose_the_settings(run):
    (run / CONFIG).unlink()


def garble_the_settings(run):
    (run / CONFIG).write_text("a: [")


def empty_the_settings(run):
    (run / CONFIG).write_text("")


def garble_the_adapter(run):
    (newest(run) / "server.safetensors").write_bytes(b"garbage")


@dataclass
class Refusal:
    spoil: Callable[[Path], None]
    reason: str


@pytest.mark.slow
@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(claim_no_privacy, "privacy. .* with it off"),
        Refusal(lose_the_card, "has ended"),
        Refusal(empty_the_card, "row `clients`"),
        Refusal(lose_the_rounds, "released round"),
        Refusal(lose_the_settings, "config.yaml is missing"),
        Refusal(garble_the_settings, "cannot be read"),
        Refusal(empty_the_settings, "no settings"),
        Refusal(garble_the_adapter, "server.safetensors cannot be read"),
        Refusal(shutil.rmtree, "config.yaml is missing"),
    ],
    ids=lambda refusal: refusal.spoil.__name__,
)
def test_what_cannot_be_audited_is_refused(run, refusal):
    refusal.spoil(run)
    with pytest.raises(ValueError, match=refusal.reason):
        check_run(RunFolder.open(run))
