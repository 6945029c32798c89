"""Whatever is bent, cut, replayed or forged ends the round without a sum, and no error or log tells a secret."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from federation.key_source import SeededKeys
from federation.secure_aggregation import client_attempt, server_attempt
from federation.secure_aggregation.errors import OrderError, ProtocolError
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.leaks import SEED, leaked, said, secrets_of
from tests.federation.secure_aggregation.parties import Parties, make_session, plan
from tests.federation.secure_aggregation.tampering import CASES, Case

FIFTH = 4
ONE_OF_A_KIND = {name.partition(": ")[2]: name for name in reversed(CASES)}.values()
"""Each way to bend, at the first stage that has it."""


def make_parties() -> Parties:
    """Return five clients of whom four are enough, and of whom the last sends no shares."""
    parties = Parties(make_session(plan(clients=5, colluders=0, honest=4)), SeededKeys(SEED))
    answers = parties.answers
    silent = {parties.names[FIFTH]}

    def answers_but_one(drops=()):
        return answers(silent if parties.server.stage > Stage.ADVERTISE else drops)

    parties.answers = answers_but_one
    return parties


def assert_ends_without_a_sum(parties: Parties, case: Case, log: pytest.LogCaptureFixture) -> None:
    with pytest.raises(case.error) as raised:
        case.attack(parties)
    with pytest.raises(OrderError):
        parties.server.result()
    assert not leaked(said(raised.value) + log.text, secrets_of(parties))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ONE_OF_A_KIND)) for name in CASES]
)
def test_what_is_bent_ends_the_round(name, caplog):
    caplog.set_level(logging.DEBUG)
    assert_ends_without_a_sum(make_parties(), CASES[name], caplog)


def test_the_document_counts_the_cases():
    document = Path(__file__).parents[3] / "docs" / "secure_aggregation.md"
    assert f"| {len(CASES)} ways to bend" in document.read_text()
    assert len(CASES) >= 60


def test_without_tampering_the_round_ends_with_the_sum():
    parties = make_parties()
    assert (parties.run() == parties.plain_sum(parties.names[:FIFTH])).all()


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("message") and "ADVERTISE" not in n][::7])
def test_the_sender_alone_is_out_where_enough_others_are_left(name):
    parties, case = Parties(make_session(plan(clients=5, colluders=0, honest=3)), SeededKeys(SEED)), CASES[name]
    with pytest.raises(ProtocolError):
        case.attack(parties)
    victim = parties.names[1]
    assert set(parties.server.excluded) == {victim}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("request of SHARE_KEYS: one key for two purposes", "demand_distinct"),
        ("request of UNMASK: signatures of two clients swapped", "verify_sets"),
        ("message of ADVERTISE: a forged signature", "verify_advertised"),
        ("message of CONFIRM: a forged signature", "verify_sets"),
    ],
)
def test_parties_that_do_not_check_are_seen(name, check, monkeypatch, caplog):
    for module in (client_attempt, server_attempt):
        monkeypatch.setattr(module, check, lambda *args: None)
    with pytest.raises((pytest.fail.Exception, ProtocolError)) as raised:
        assert_ends_without_a_sum(make_parties(), CASES[name], caplog)
    assert not isinstance(raised.value, CASES[name].error)


def test_a_talkative_error_is_seen():
    parties = make_parties()
    parties.advance(Stage.MASK_INPUT)
    secrets = secrets_of(parties)
    key = SeededKeys(SEED).stream(parties.names[0], 0, 0, "mask").bytes(32)
    for text in (key.hex(), str(int.from_bytes(key, "big")), f"{key!r}", f"the key starts with {key[:8].hex()}..."):
        assert leaked(said(ValueError(text)), secrets)
    assert not leaked(said(ValueError("an honest error")), secrets)
    assert key == parties.clients[parties.names[0]]._attempt._mask.private.private_bytes_raw()
