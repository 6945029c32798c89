"""An epoch agrees on the keys of several rounds at once; each round then fails, ends and is repeated as any other."""

from __future__ import annotations

import numpy as np
import pytest

from federation.key_source import OperatingSystemKeys, SeededKeys
from federation.secure_aggregation.bundles import unbundle
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.errors import ChangedRequestError, MalformedMessageError, OrderError, ProtocolError
from federation.secure_aggregation.memory import FileMemory
from federation.secure_aggregation.server_epoch import ServerEpoch
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.bending import GENERIC, VICTIM
from tests.federation.secure_aggregation.epochs import ROUNDS, STEADY, make_epoch, refuses
from tests.federation.secure_aggregation.parties import BROADCAST, Parties, identity

SETUP = (Stage.ADVERTISE, Stage.SHARE_KEYS)


def assert_exact(parties: Parties, drops: dict[str, Stage] | None = None, absent: tuple[str, ...] = ()) -> None:
    """Fail unless the round gives the sum of all who sent their vector."""
    drops = drops or {}
    there = [name for name in parties.names if name not in absent]
    survivors = [name for name in there if drops.get(name, Stage.DONE) > Stage.MASK_INPUT]
    np.testing.assert_array_equal(parties.run(drops), parties.plain_sum(survivors))
    assert parties.server.survivors == tuple(survivors)


def test_later_rounds_take_three_messages():
    parties = make_epoch()
    assert_exact(parties)
    for later in (1, 2):
        assert parties.server.holds_keys(later)
        parties.enter(later)
        assert parties.server.stage is Stage.MASK_INPUT
        assert_exact(parties)
        assert not parties.server.holds_keys(later)
    with pytest.raises(OrderError, match="no keys for round 3"):
        parties.enter(3)


def test_the_first_two_messages_are_those_of_a_single_round_one_after_another():
    keys = SeededKeys(0)
    epoch, alone = make_epoch(keys), make_epoch(keys)
    alone.rounds = 1
    alone.open()
    for stage in SETUP:
        bundles, messages = epoch.answers(), alone.answers()
        for name in epoch.names:
            first, *later = unbundle(bundles[name], ROUNDS)
            assert first == messages[name]
            assert {len(part) for part in later} == {len(first)}
            assert len({first, *later}) == ROUNDS, stage
        epoch.deliver(bundles)
        alone.deliver(messages)
    assert epoch.answers() == alone.answers()


@pytest.mark.parametrize("first", STEADY)
@pytest.mark.parametrize("silent", [0, 1])
def test_who_falls_silent_in_one_round_is_back_in_the_next(first, silent):
    parties = make_epoch()
    for index in range(ROUNDS):
        parties.enter(index) if index else None
        assert_exact(parties, {parties.names[VICTIM]: first} if index == silent else {})


def test_a_server_that_forgets_who_was_silent_is_noticed(monkeypatch):
    """The fault: a later round counts on those who survived the one before it."""

    def enter_with_survivors(self, round, attempt, broadcast):
        self._later[round]._sharing = frozenset(self.current.survivors)
        return enter(self, round, attempt, broadcast)

    enter = ServerEpoch.enter
    monkeypatch.setattr(ServerEpoch, "enter", enter_with_survivors)
    with pytest.raises(AssertionError):
        test_who_falls_silent_in_one_round_is_back_in_the_next(Stage.MASK_INPUT, silent=0)


@pytest.mark.parametrize("first", SETUP)
def test_who_misses_the_keys_sits_the_epoch_out_and_joins_the_next(first):
    parties = make_epoch()
    name = parties.names[VICTIM]
    assert_exact(parties, {name: first})
    parties.enter(1)
    assert name not in parties.requests
    assert refuses(parties.clients[name].enter, 1, 0, BROADCAST)
    assert_exact(parties, absent=(name,))
    parties.round = 2
    parties.open()
    assert_exact(parties)


@pytest.mark.parametrize("block", [pytest.param(n, marks=[pytest.mark.slow] * (n > 0)) for n in range(100)])
def test_every_round_is_exact_whoever_falls_silent(block):
    for number in range(2 * block, 2 * block + 2):
        rng = np.random.default_rng(number)
        parties = make_epoch(SeededKeys(number), clients=7, colluders=int(rng.integers(0, 2)))
        for index in range(ROUNDS):
            parties.enter(index, attempt=int(rng.integers(0, 2))) if index else None
            names = rng.choice(parties.names, int(rng.integers(0, 3)), replace=False)
            assert_exact(parties, {str(name): STEADY[rng.integers(3)] for name in names})


@pytest.mark.parametrize("stage", STEADY)
def test_a_round_with_too_few_left_is_refused_and_ends_the_epoch(stage):
    parties = make_epoch()
    parties.run()
    parties.enter(1)
    with pytest.raises(ProtocolError):
        parties.run(dict.fromkeys(parties.names[:3], stage))
    assert not parties.server.holds_keys(2)
    with pytest.raises(OrderError):
        parties.enter(2)
    parties.attempt = 1
    parties.open()
    assert_exact(parties)


def test_who_gave_one_round_up_takes_part_in_the_next():
    parties = make_epoch()
    name = parties.names[VICTIM]
    parties.advance(Stage.CONFIRM)
    assert refuses(parties.ask, name, Stage.CONFIRM, parties.requests[name] + b"x")
    parties.exchange(silent=[name])
    parties.exchange()
    parties.enter(1)
    assert_exact(parties)


def test_a_repeated_request_gets_the_same_reply_and_another_model_ends_the_attempt():
    parties = make_epoch()
    parties.run()
    parties.enter(1)
    ann, request = parties.clients[parties.names[0]], parties.requests[parties.names[0]]
    reply = parties.ask(parties.names[0], Stage.MASK_INPUT, request)
    assert parties.ask(parties.names[0], Stage.MASK_INPUT, request) == reply
    with pytest.raises(ChangedRequestError):
        ann.enter(1, 0, b"another model")
    assert refuses(ann.mask_input, request, parties.vectors[parties.names[0]])
    assert ann.enter(2, 0, BROADCAST)


def test_rounds_only_rise_and_an_old_order_changes_nothing():
    parties = make_epoch()
    ann = parties.clients[parties.names[0]]
    assert refuses(ann.enter, 1, 0, BROADCAST)
    parties.exchange()
    assert refuses(ann.enter, 1, 0, BROADCAST), "keys are shared by nobody yet"
    parties.run()
    parties.enter(2, attempt=1)
    assert not parties.server.holds_keys(1), "rounds that were left out are over"
    ann.enter(2, 1, BROADCAST)
    for old in [(2, 0), (1, 0), (1, 5), (0, 0)]:
        assert refuses(ann.enter, *old, BROADCAST)
    assert_exact(parties)
    assert refuses(ann.enter, 2, 2, BROADCAST), "its keys have served"
    assert refuses(ann.advertise, 2, 1, BROADCAST), "no attempt has two sets of keys"
    assert ann.advertise(2, 2, BROADCAST)


def test_a_client_that_restarts_waits_for_the_next_epoch(tmp_path):
    parties = make_epoch()
    name = parties.names[VICTIM]

    def start() -> SecureClient:
        return SecureClient(name, identity(name), parties.session, OperatingSystemKeys(), FileMemory(tmp_path))

    parties.clients[name] = start()
    parties.run()
    parties.enter(1)
    reply = parties.ask(name, Stage.MASK_INPUT, parties.requests[name])
    parties.clients[name] = start()
    assert parties.clients[name].mask_input(parties.requests[name], parties.vectors[name]) == reply
    parties.clients[name] = start()
    with pytest.raises(OrderError, match="waits for the next epoch"):
        parties.clients[name].enter(2, 0, BROADCAST)
    for index in (1, 2):
        parties.enter(index) if index > 1 else None
        assert_exact(parties, {name: Stage.MASK_INPUT})
    parties.round = 3
    parties.open()
    assert_exact(parties)


def test_a_server_that_restarts_begins_a_new_epoch_and_the_old_one_is_over():
    parties = make_epoch()
    parties.run()
    old = parties.server
    parties.round = 1
    parties.open()
    assert_exact(parties)
    requests = old.enter(2, 0, BROADCAST)
    for name, client in parties.clients.items():
        client.enter(2, 0, BROADCAST)
        assert refuses(client.mask_input, requests[name], parties.vectors[name])


@pytest.mark.parametrize("to_client", [False, True])
@pytest.mark.parametrize("stage", STEADY)
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "one byte more")) for n in GENERIC])
def test_what_is_bent_in_a_later_round_is_refused(name, stage, to_client):
    parties, (change, error) = make_epoch(), GENERIC[name]
    parties.run()
    parties.enter(1)
    parties.advance(stage)
    victim = parties.names[VICTIM]
    if to_client:
        with pytest.raises(error):
            parties.ask(victim, stage, change(parties, parties.requests[victim]))
    else:
        message = parties.ask(victim, stage, parties.requests[victim])
        with pytest.raises(error):
            parties.server.receive(victim, change(parties, message))


@pytest.mark.parametrize("stage", SETUP)
@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[: len(b) // ROUNDS], lambda b: b""]
)
def test_a_bundle_of_another_length_puts_its_sender_out_of_all_rounds(change, stage):
    parties = make_epoch()
    name = parties.names[VICTIM]
    parties.advance(stage)
    messages = parties.answers()
    with pytest.raises(MalformedMessageError):
        parties.server.receive(name, change(messages[name]))
    parties.deliver({other: message for other, message in messages.items() if other != name})
    for index in range(ROUNDS):
        parties.enter(index) if index else None
        assert_exact(parties, absent=(name,))
