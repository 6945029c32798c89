"""Which messages are read, which are discarded, and who is out for sending others."""

from __future__ import annotations

import pytest

from federation.secure_aggregation.errors import ChangedRequestError, MalformedMessageError, OrderError, SessionError
from federation.secure_aggregation.messages import Advertise, MaskedInput, Unmask
from federation.secure_aggregation.server_inbox import ServerInbox
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import make_names, make_roster

ANN, BOB, CLEO = NAMES = make_names(3)
KEYS, VECTOR, SHARES = Advertise.TAG + b"keys", MaskedInput.TAG + b"vector", Unmask.TAG + b"shares"


@pytest.fixture
def inbox() -> ServerInbox:
    return ServerInbox(make_roster(NAMES), Stage.ADVERTISE, {0, 1})


def test_a_message_is_read_once(inbox):
    assert inbox.sort(ANN, KEYS) is Stage.ADVERTISE
    inbox.keep(Stage.ADVERTISE, ANN, KEYS)
    assert inbox.sort(ANN, KEYS) is None
    assert inbox.senders(Stage.ADVERTISE) == [0]


def test_another_message_of_the_same_stage_is_refused_and_a_second_vector_is_not_looked_at(inbox):
    inbox.keep(Stage.ADVERTISE, ANN, KEYS)
    with pytest.raises(ChangedRequestError, match="two different messages of ADVERTISE"):
        inbox.sort(ANN, KEYS + b"!")
    inbox.keep(Stage.MASK_INPUT, ANN, VECTOR)
    assert inbox.sort(ANN, VECTOR + b"!") is None


def test_what_comes_after_its_stage_is_discarded_and_what_comes_before_is_refused(inbox):
    inbox.stage = Stage.CONFIRM
    assert inbox.sort(ANN, VECTOR) is None
    with pytest.raises(OrderError, match="not asked for UNMASK"):
        inbox.sort(ANN, SHARES)


def test_only_those_are_heard_who_were_asked_and_are_not_out(inbox):
    inbox.keep(Stage.ADVERTISE, BOB, KEYS)
    inbox.excluded[BOB] = "its shares were wrong"
    assert inbox.senders(Stage.ADVERTISE) == []
    inbox.stage = Stage.MASK_INPUT
    for name in (BOB, CLEO):
        with pytest.raises(OrderError, match="not asked"):
            inbox.sort(name, VECTOR)
    with pytest.raises(SessionError, match="not in the roster"):
        inbox.sort("eve", VECTOR)


@pytest.mark.parametrize("message", [b"", b"ADV", b"XXX9....", "ADV1", None])
def test_what_is_none_of_the_five_messages_is_refused(inbox, message):
    with pytest.raises(MalformedMessageError, match="one of five messages"):
        inbox.sort(ANN, message)


def test_in_an_attempt_that_was_given_up_nobody_is_heard(inbox):
    inbox.stage = None
    with pytest.raises(OrderError, match="not asked"):
        inbox.sort(ANN, KEYS)


def test_a_sum_of_vectors_is_taken_for_each_of_them(inbox):
    assert not inbox.awaits_vectors({0})
    inbox.stage = Stage.MASK_INPUT
    assert inbox.awaits_vectors({0, 1})
    assert not inbox.awaits_vectors({0, 2})
    inbox.keep_vectors({0})
    assert not inbox.awaits_vectors({0, 1})
    assert inbox.sort(ANN, VECTOR) is None
    assert inbox.senders(Stage.MASK_INPUT) == [0]
