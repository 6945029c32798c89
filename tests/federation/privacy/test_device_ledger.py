"""A device believes no server about its budget: it counts over all sessions, and refuses for itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.device_ledger import Answer, DeviceLedger, device_ledger_path
from federation.privacy.ledger import Ledger
from federation.privacy.owner import OwnerRefusalError

DELTA = 1e-5
ANSWER = Answer("a" * 64, round=0, attempt=0, noise_multiplier=2.0, sample_rate=1.0, server_head="0" * 64)


def cost(rounds: int) -> float:
    """Return what this many answers like the one above cost."""
    return epsilon_after([Release(2.0, 1.0, rounds)], DELTA).value


def make_answer(round: int, **changes: object) -> Answer:
    return replace(ANSWER, **{"round": round, "server_head": f"{round:064x}", **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ann.jsonl"


def test_a_device_refuses_the_round_that_its_owner_has_not_allowed(path):
    ledger = DeviceLedger(path, cost(2), DELTA)
    for index in range(2):
        ledger.reserve(make_answer(index))
        ledger.charge(make_answer(index))
    with pytest.raises(OwnerRefusalError, match="owner allows"):
        ledger.reserve(make_answer(2))
    with pytest.raises(OwnerRefusalError, match="owner allows"):
        ledger.charge(make_answer(2))
    assert ledger.epsilon().value == cost(2)


class ForgetsOtherSessions(DeviceLedger):
    """The fault: a budget that begins anew with every session is no budget."""

    def epsilon(self, *further):
        self._charged = {key: past for key, past in self._charged.items() if key[0] == further[0].session}
        self._reserved = {}
        return super().epsilon(*further)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DeviceLedger, ForgetsOtherSessions])
def test_the_total_goes_on_over_sessions_and_configurations(path, kind):
    kind(path, cost(1), DELTA).charge(ANSWER)
    other = make_answer(0, session="b" * 64, noise_multiplier=8.0, sample_rate=0.5)
    if kind is ForgetsOtherSessions:
        kind(path, cost(1), DELTA).charge(other)
        return
    with pytest.raises(OwnerRefusalError):
        kind(path, cost(1), DELTA).charge(other)


def test_a_request_delivered_twice_is_paid_once(path):
    ledger = DeviceLedger(path, cost(1), DELTA)
    for _ in range(2):
        ledger.reserve(ANSWER)
        ledger.charge(ANSWER)
    DeviceLedger(path, cost(1), DELTA).charge(ANSWER)
    assert len(path.read_text().splitlines()) == 2


def test_the_same_attempt_cannot_change_its_price(path):
    ledger = DeviceLedger(path, float("inf"), DELTA)
    ledger.charge(ANSWER)
    with pytest.raises(OwnerRefusalError, match="other figures"):
        ledger.charge(replace(ANSWER, noise_multiplier=1.0))


@pytest.mark.parametrize(("adversary", "counted"), [("active", 3), ("honest_but_curious", 0)])
def test_a_server_that_asks_everybody_else_to_unmask_cannot_hide_a_release(path, adversary, counted):
    ledger = DeviceLedger(path, float("inf"), DELTA)
    for index in range(3):
        ledger.reserve(make_answer(index, adversary=adversary))
    assert DeviceLedger(path, float("inf"), DELTA).epsilon().value == cost(counted)


class AsksTheNewestSession(DeviceLedger):
    """The fault: whether a reservation counts depends on the session that asks, not on the one it was made in."""

    def epsilon(self, *further):
        if any(answer.adversary == "honest_but_curious" for answer in further):
            self._reserved = {}
        return super().epsilon(*further)


@pytest.mark.parametrize("kind", [DeviceLedger, AsksTheNewestSession])
def test_a_session_with_an_honest_server_does_not_forget_what_a_lying_one_may_have_released(path, kind):
    kind(path, cost(1), DELTA).reserve(ANSWER)
    other = make_answer(0, session="b" * 64, adversary="honest_but_curious")
    if kind is AsksTheNewestSession:
        kind(path, cost(1), DELTA).charge(other)
        return
    with pytest.raises(OwnerRefusalError, match="owner allows"):
        kind(path, cost(1), DELTA).charge(other)


def test_a_line_of_before_sessions_were_told_apart_counts_in_full(path):
    DeviceLedger(path, float("inf"), DELTA).reserve(replace(ANSWER, adversary="honest_but_curious"))
    path.write_text(path.read_text().replace(', "adversary": "honest_but_curious"', ""))
    assert DeviceLedger(path, float("inf"), DELTA).epsilon().value == cost(1)


def test_a_charge_takes_the_place_of_its_reservation(path):
    ledger = DeviceLedger(path, float("inf"), DELTA)
    ledger.reserve(ANSWER)
    ledger.charge(replace(ANSWER, noise_multiplier=1.0))
    assert ledger.epsilon() == epsilon_after([Release(1.0, 1.0)], DELTA)


def test_a_server_whose_ledger_was_put_back_is_refused(path):
    ledger = DeviceLedger(path, float("inf"), DELTA)
    ledger.reserve(make_answer(0))
    ledger.charge(make_answer(0))
    with pytest.raises(OwnerRefusalError, match="Got the same head"):
        ledger.reserve(make_answer(1, server_head=make_answer(0).server_head))
    ledger.reserve(make_answer(1))
    ledger.reserve(make_answer(0, session="b" * 64, server_head=make_answer(0).server_head))


@pytest.mark.parametrize("told", ["released", "head"])
def test_a_server_that_takes_a_charge_back_is_refused(path, tmp_path, told):
    """By the last release of a real ledger: its head moves with every attempt that is begun, charged or not."""
    device, server = DeviceLedger(path, float("inf"), DELTA), Ledger(tmp_path / "server.jsonl")
    answers = []
    for round in range(2):
        answers.append(replace(ANSWER, round=round, attempt=server.begin(round), server_head=getattr(server, told)))
        device.reserve(answers[-1])
        device.charge(answers[-1])
        kept = (tmp_path / "server.jsonl").read_bytes()
        server.charge(round, 0, 2.0, 1.0)
    (tmp_path / "server.jsonl").write_bytes(kept)  # the second round's charge is cut off
    server = Ledger(tmp_path / "server.jsonl")
    again = replace(ANSWER, round=1, attempt=server.begin(1), server_head=getattr(server, told))
    if told == "head":  # the fault
        device.reserve(again)
        return
    with pytest.raises(OwnerRefusalError, match="must hold the release of round 2"):
        device.reserve(again)


def test_a_refused_answer_leaves_no_line(path):
    with pytest.raises(OwnerRefusalError):
        DeviceLedger(path, 0.1, DELTA).reserve(ANSWER)
    assert not path.exists()


@pytest.mark.parametrize(("allowed", "delta"), [(0.0, DELTA), (-1.0, DELTA), (float("nan"), DELTA), (1.0, 0.0)])
def test_impossible_limits_are_refused(path, allowed, delta):
    with pytest.raises(ValueError, match="must"):
        DeviceLedger(path, allowed, delta)


@pytest.mark.parametrize("spoilt", ['"event": "charge"', '"round": 0', '"noise_multiplier": 2.0'])
def test_a_line_that_is_no_answer_is_named(path, spoilt):
    DeviceLedger(path, float("inf"), DELTA).charge(ANSWER)
    name = spoilt.split(":")[0]
    path.write_text(path.read_text().replace(spoilt, f"{name}: {'-1' if 'noise' in name else '[]'}"))
    with pytest.raises(ValueError, match="no entry"):
        DeviceLedger(path, float("inf"), DELTA)


def test_every_person_and_data_set_has_a_ledger_of_its_own(tmp_path):
    pairs = [("ann", "clips"), ("ann", "other"), ("bob", "clips"), ("annc", "lips"), ("a/../b", "clips"), ("ann", "")]
    pairs += [("ann/", "/clips"), ("ann//", "clips")]  # the same for the eye, and one behind the other
    paths = {device_ledger_path(tmp_path, *pair) for pair in pairs}
    assert len(paths) == len(pairs)
    assert all(path.parent == tmp_path for path in paths)
    assert device_ledger_path(tmp_path, "ann", "clips") in paths
