"""A client answers each stage once, in order, and after a restart repeats at most what it said."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from federation.key_source import OperatingSystemKeys, SeededKeys
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.errors import (
    ChangedRequestError,
    OrderError,
    ProtocolError,
    SessionError,
    SurvivorSetError,
    TooFewClientsError,
)
from federation.secure_aggregation.memory import FileMemory, InMemory
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.leaks import SEED, leaked, said, secrets_of
from tests.federation.secure_aggregation.parties import BROADCAST, Parties, identity, make_session, plan

STAGES = list(Stage)[:-1]


@pytest.fixture
def parties() -> Parties:
    return Parties(make_session(plan()), SeededKeys(SEED))


def ann_of(parties: Parties) -> SecureClient:
    return parties.clients[parties.names[0]]


def run_recording(parties: Parties) -> dict[Stage, tuple[bytes, bytes]]:
    """Run a round and return the first client's requests and replies."""
    seen = {}
    for stage in STAGES:
        messages = parties.answers()
        seen[stage] = parties.requests[parties.names[0]], messages[parties.names[0]]
        parties.deliver(messages)
    return seen


def test_a_repeated_request_gets_the_same_reply_until_the_next_attempt(parties):
    seen = run_recording(parties)
    for stage, (request, reply) in seen.items():
        assert parties.ask(parties.names[0], stage, request) == reply
    assert ann_of(parties).advertise(0, 1, BROADCAST)
    with pytest.raises(ProtocolError):
        parties.ask(parties.names[0], Stage.UNMASK, seen[Stage.UNMASK][0])


def test_a_second_vector_is_never_masked(parties):
    parties.advance(Stage.MASK_INPUT)
    ann, request = ann_of(parties), parties.requests[parties.names[0]]
    vector = parties.vectors[parties.names[0]]
    reply = ann.mask_input(request, vector)
    assert ann.mask_input(request, vector + np.uint32(1)) == reply


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_changed_request_of_a_stage_ends_the_attempt(parties, stage):
    seen = run_recording(parties)
    request = seen[stage][0]
    with pytest.raises(ChangedRequestError) as raised:
        parties.ask(parties.names[0], stage, request[:-1] + bytes([request[-1] ^ 1]))
    assert not leaked(said(raised.value), secrets_of(parties))
    for known in STAGES:
        with pytest.raises(OrderError, match="gave this attempt up"):
            parties.ask(parties.names[0], known, seen[known][0])


def test_another_broadcast_for_the_same_attempt_ends_it(parties):
    ann_of(parties).advertise(0, 0, BROADCAST)
    with pytest.raises(ChangedRequestError):
        ann_of(parties).advertise(0, 0, b"another model")
    with pytest.raises(OrderError):
        ann_of(parties).advertise(0, 0, BROADCAST)
    assert ann_of(parties).advertise(0, 1, BROADCAST)


@pytest.mark.parametrize(("expected", "asked"), combinations(STAGES, 2))
def test_stages_come_in_order(parties, expected, asked):
    seen = run_recording(Parties(parties.session, parties.keys))
    parties.advance(expected)
    with pytest.raises(OrderError):
        parties.ask(parties.names[0], asked, seen[asked][0])


@pytest.mark.parametrize("position", [(0, 0), (1, 1), (2, 3), (1, 9)])
def test_rounds_and_attempts_only_rise(parties, position):
    ann = ann_of(parties)
    ann.advertise(2, 4, BROADCAST)
    with pytest.raises(OrderError, match="only rise"):
        ann.advertise(*position, BROADCAST)


@pytest.mark.parametrize("position", [(2, 5), (3, 0), (9, 9)])
def test_a_later_attempt_has_fresh_keys(position):
    parties = Parties(make_session(plan()), OperatingSystemKeys())
    ann = ann_of(parties)
    first, later = ann.advertise(2, 4, BROADCAST), ann.advertise(*position, BROADCAST)
    assert not {first[40 + 32 * n : 72 + 32 * n] for n in range(3)} & {
        later[40 + 32 * n : 72 + 32 * n] for n in range(3)
    }


@pytest.mark.parametrize("stage", STAGES[1:])
def test_after_a_restart_a_client_repeats_itself_and_says_nothing_new(parties, stage, tmp_path):
    name = parties.names[0]

    def start() -> SecureClient:
        return SecureClient(name, identity(name), parties.session, parties.keys, FileMemory(tmp_path))

    parties.clients[name] = start()
    parties.advance(stage)
    request = parties.requests[name]
    said_before = parties.clients[name].advertise(0, 0, BROADCAST)
    parties.clients[name] = start()
    assert parties.clients[name].advertise(0, 0, BROADCAST) == said_before
    with pytest.raises(OrderError, match="process that is gone"):
        parties.ask(name, stage, request)


def test_after_a_restart_a_client_repeats_every_reply(parties, tmp_path):
    name = parties.names[0]

    def start() -> SecureClient:
        return SecureClient(name, identity(name), parties.session, parties.keys, FileMemory(tmp_path))

    parties.clients[name] = start()
    seen = run_recording(parties)
    parties.clients[name] = start()
    for stage, (request, reply) in seen.items():
        assert parties.ask(name, stage, request) == reply


def test_a_crash_after_the_attempt_was_noted_leaves_no_second_set_of_keys(parties, tmp_path):
    class Dying(FileMemory):
        def keep(self, session, stage, answer):
            raise OSError("the disk is full")

    name = parties.names[0]
    dying = SecureClient(name, identity(name), parties.session, parties.keys, Dying(tmp_path))
    with pytest.raises(OSError, match="full"):
        dying.advertise(0, 0, BROADCAST)
    restarted = SecureClient(name, identity(name), parties.session, parties.keys, FileMemory(tmp_path))
    with pytest.raises(OrderError, match="process that is gone"):
        restarted.advertise(0, 0, BROADCAST)
    assert restarted.advertise(0, 1, BROADCAST)


def test_sessions_do_not_disturb_each_other(parties):
    memory = InMemory()
    name = parties.names[0]
    other = make_session(plan(), nonce=b"\1" * 32)
    first, second = (SecureClient(name, identity(name), s, parties.keys, memory) for s in (parties.session, other))
    assert first.advertise(5, 0, BROADCAST) != second.advertise(0, 0, BROADCAST)
    with pytest.raises(OrderError):
        first.advertise(4, 0, BROADCAST)
    assert second.advertise(1, 0, BROADCAST)


@pytest.mark.parametrize(
    "vector", [np.zeros(8), np.zeros(8, np.int64), np.zeros(7, np.uint32), np.zeros((8, 1), np.uint32)]
)
def test_only_a_vector_of_the_session_is_masked(parties, vector):
    parties.advance(Stage.MASK_INPUT)
    with pytest.raises(TypeError, match="uint32 of shape"):
        ann_of(parties).mask_input(parties.requests[parties.names[0]], vector)
    with pytest.raises(OrderError):
        parties.ask(parties.names[0], Stage.MASK_INPUT, parties.requests[parties.names[0]])


def test_the_callers_vector_stays_as_it_is(parties):
    before = {name: vector.copy() for name, vector in parties.vectors.items()}
    parties.run()
    assert all((parties.vectors[name] == vector).all() for name, vector in before.items())


def test_a_client_knows_the_survivors_before_it_opens_a_share(parties):
    parties.advance(Stage.MASK_INPUT)
    parties.exchange(silent=[parties.names[4]])
    assert ann_of(parties).survivors == ()
    parties.exchange()
    assert ann_of(parties).survivors == tuple(parties.names[:4])
    parties.exchange()
    assert ann_of(parties).survivors == ()


def test_secrets_are_dropped_as_soon_as_they_have_served(parties):
    parties.advance(Stage.CONFIRM)
    left = {name for name in vars(ann_of(parties)._attempt) if name.startswith("_")}
    assert not left & {"_secret", "_mask", "_channel", "_links", "_coefficients"}
    parties.advance(Stage.DONE)
    assert ann_of(parties)._attempt is None


def test_too_few_survivors_for_the_noise_are_refused_by_every_client(parties):
    parties.advance(Stage.CONFIRM)
    body = bytes([0b11111, 0b00111])
    for name in parties.names[:3]:
        with pytest.raises(TooFewClientsError, match="noise"):
            parties.clients[name].confirm(parties.requests[name][:40] + body)


def test_survivors_without_the_client_that_is_told_of_them_are_refused(parties):
    parties.advance(Stage.CONFIRM)
    body = bytes([0b11111, 0b11110])
    with pytest.raises(SurvivorSetError, match="with them"):
        ann_of(parties).confirm(parties.requests[parties.names[0]][:40] + body)


def test_another_identity_than_the_rosters_is_refused(parties):
    with pytest.raises(SessionError, match="another identity"):
        SecureClient(parties.names[0], identity("eve"), parties.session, parties.keys, InMemory())
    with pytest.raises(SessionError, match="not in the roster"):
        SecureClient("eve", identity("eve"), parties.session, parties.keys, InMemory())
