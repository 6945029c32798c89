"""The server closes stages, leaves out who sends what it should not, and gives a sum at the end or none."""

from __future__ import annotations

import numpy as np
import pytest

from federation.secure_aggregation.errors import (
    ChangedRequestError,
    InvalidPublicKeyError,
    MalformedMessageError,
    OrderError,
    SessionError,
    TooFewClientsError,
)
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.bent_messages import bad_keys
from tests.federation.secure_aggregation.parties import BROADCAST, Parties, make_names, make_session, plan

STAGES = list(Stage)[:-1]


@pytest.fixture
def parties() -> Parties:
    return Parties(make_session(plan(clients=6, colluders=1, honest=3)))


@pytest.mark.parametrize("stage", STAGES)
def test_there_is_no_sum_before_the_end(parties, stage):
    parties.advance(stage)
    with pytest.raises(OrderError, match="no sum"):
        parties.server.result()


@pytest.mark.parametrize("stage", STAGES)
def test_with_too_few_left_the_attempt_is_over(parties, stage):
    parties.advance(stage)
    with pytest.raises(TooFewClientsError):
        parties.exchange(silent=parties.names[:3])
    for call in (parties.server.close_stage, parties.server.result):
        with pytest.raises(OrderError):
            call()


@pytest.mark.parametrize("stage", STAGES)
def test_a_repeated_message_counts_once(parties, stage):
    parties.advance(stage)
    messages = parties.answers()
    for name in parties.names:
        parties.server.receive(name, messages[name])
    parties.deliver(messages)
    name = parties.names[0]
    parties.server.receive(name, messages[name])
    parties.advance(Stage.DONE)
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum())
    assert not parties.server.excluded


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage is not Stage.MASK_INPUT])
def test_two_different_messages_exclude_their_sender(parties, stage):
    parties.advance(stage)
    messages = parties.answers()
    name = parties.names[2]
    parties.server.receive(name, messages[name])
    with pytest.raises(ChangedRequestError):
        parties.server.receive(name, messages[name][:-1] + bytes([messages[name][-1] ^ 1]))
    parties.deliver(messages)
    assert set(parties.server.excluded) == {name}
    assert name not in parties.requests
    parties.advance(Stage.DONE)
    survived = [n for n in parties.names if n != name or stage > Stage.MASK_INPUT]
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum(survived))


def test_a_second_vector_is_not_looked_at(parties):
    parties.advance(Stage.MASK_INPUT)
    messages = parties.answers()
    parties.server.receive(parties.names[0], messages[parties.names[0]])
    parties.server.receive(parties.names[0], messages[parties.names[0]][:-4] + b"abcd")
    parties.deliver(messages)
    parties.advance(Stage.DONE)
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum())


def test_the_vector_of_who_is_excluded_afterwards_stays_in_the_sum(parties):
    parties.advance(Stage.MASK_INPUT)
    messages = parties.answers()
    name = parties.names[1]
    parties.server.receive(name, messages[name])
    with pytest.raises(OrderError):
        parties.server.receive(name, b"UNM5" + bytes(36))
    parties.deliver(messages)
    assert name not in parties.requests
    parties.advance(Stage.DONE)
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum())


@pytest.mark.parametrize("key", ["channel_key", "mask_key"])
def test_who_advertises_a_key_of_low_order_is_left_out_and_the_others_go_on(parties, key):
    messages, name = parties.answers(), parties.names[2]
    with pytest.raises(InvalidPublicKeyError):
        parties.server.receive(name, bad_keys(2, **{key: bytes(32)})(parties, messages.pop(name)))
    parties.deliver(messages)
    parties.advance(Stage.DONE)
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum(messages))
    assert name in parties.server.excluded


@pytest.mark.parametrize("key", ["channel_key", "mask_key"])
def test_who_advertises_a_key_of_another_is_left_out_and_the_others_go_on(parties, key):
    """Every client would refuse the list that such a key is in: one liar could end each attempt."""
    messages, (ann, bob) = parties.answers(), parties.names[:2]
    copied = getattr(Advertise.decode(messages[ann], 0, parties.server._own.context), key)
    parties.server.receive(ann, messages[ann])
    with pytest.raises(InvalidPublicKeyError, match="twice"):
        parties.server.receive(bob, bad_keys(1, **{key: copied})(parties, messages.pop(bob)))
    parties.deliver(messages)
    parties.advance(Stage.DONE)
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum(messages))
    assert set(parties.server.excluded) == {bob}


def test_a_client_out_of_the_cohort_is_not_heard(parties):
    parties.server = SecureServer(parties.session, 0, 0, BROADCAST, parties.names[:5])
    message = parties.clients[parties.names[5]].advertise(0, 0, BROADCAST)
    with pytest.raises(OrderError, match="not asked"):
        parties.server.receive(parties.names[5], message)
    with pytest.raises(SessionError, match="not in the roster"):
        parties.server.receive("eve", message)


@pytest.mark.parametrize("cohort", [["client-0000"] * 2, make_names(7), ["eve"]])
def test_a_cohort_is_of_the_roster(parties, cohort):
    with pytest.raises(SessionError):
        SecureServer(parties.session, 0, 0, BROADCAST, cohort)


def test_a_finished_round_cannot_be_closed_again(parties):
    parties.run()
    with pytest.raises(OrderError):
        parties.server.close_stage()


@pytest.mark.parametrize("fault", ["early", "twice", "unknown", "mixed", "float", "long"])
def test_sums_from_the_transport_are_checked(parties, fault):
    if fault != "early":
        parties.advance(Stage.MASK_INPUT)
    names, total = parties.names[:2], np.zeros(8, np.uint32)
    if fault == "mixed":
        parties.server.receive(names[0], parties.answers()[names[0]])
    senders = {"twice": [names[0]] * 2, "unknown": [*names, "eve"]}.get(fault, names)
    total = {"float": total.astype(float), "long": np.zeros(9, np.uint32)}.get(fault, total)
    with pytest.raises((OrderError, MalformedMessageError, SessionError)):
        parties.server.add_up(senders, total)


def test_the_server_keeps_one_vector_however_many_come(parties):
    parties.advance(Stage.MASK_INPUT)
    for name, message in parties.answers().items():
        parties.server.receive(name, message)
    kept = [value for value in vars(parties.server._own).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in kept) == 4 * parties.session.config.dimension
