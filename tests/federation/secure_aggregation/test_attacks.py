"""Attacks of a server that lies: each finds the victim's vector where one rule is broken, and fails where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from federation.key_source import KeySource, OperatingSystemKeys, SeededKeys
from federation.secure_aggregation import client_attempt, session
from federation.secure_aggregation.errors import (
    ChangedRequestError,
    ContextMismatchError,
    InvalidSignatureError,
    OrderError,
    ProtocolError,
    SessionError,
    TooFewClientsError,
)
from federation.secure_aggregation.masks import add_keystreams
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.requests import KeyList
from federation.secure_aggregation.session import SessionConfig
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.attacks import ForgetfulClient, LyingServer
from tests.federation.secure_aggregation.parties import DIGEST, Parties, identity, make_names, make_session, plan

VICTIM = 2


def victims_vector(parties: Parties) -> np.ndarray:
    return parties.vectors[parties.names[VICTIM]]


def complete(clients: int, colluders: int, threshold: int) -> SessionConfig:
    return SessionConfig(64, clients, colluders, 1, "active", clients - 1, threshold, DIGEST)


def ring(neighbours: int, threshold: int, clients: int = 24) -> SessionConfig:
    return SessionConfig(64, clients, 0, clients - 1, "honest_but_curious", neighbours, threshold, DIGEST)


@pytest.mark.parametrize(("clients", "colluders"), [(8, 0), (9, 0), (10, 2), (11, 3)])
def test_split_view_on_the_complete_graph(clients, colluders, monkeypatch):
    """At t = (n + c) / 2 two groups of honest clients, with the colluders, open both secrets; one above, none do."""
    bad = set(range(clients - colluders, clients))
    first = range((clients - colluders + 1) // 2)
    weak = (clients + colluders) // 2
    with pytest.raises(SessionError, match="unsafe"):
        complete(clients, colluders, weak)

    strong = Parties(make_session(complete(clients, colluders, weak + 1)))
    with pytest.raises(TooFewClientsError, match="confirmed"):
        LyingServer(strong, VICTIM, bad).split_view(first)

    monkeypatch.setattr(session, "is_safe", lambda *args: True)
    parties = Parties(make_session(complete(clients, colluders, weak)))
    np.testing.assert_array_equal(LyingServer(parties, VICTIM, bad).split_view(first), victims_vector(parties))


def test_split_view_on_the_ring(monkeypatch):
    """With t <= k/2 the two arcs beside the victim are told different sets; nobody notices."""
    with pytest.raises(SessionError, match="unsafe"):
        ring(neighbours=8, threshold=4)
    strong = LyingServer(Parties(make_session(ring(neighbours=8, threshold=5))), VICTIM)
    with pytest.raises(ProtocolError):
        strong.split_view(strong.arc())
    monkeypatch.setattr(session, "is_safe", lambda *args: True)
    parties = Parties(make_session(ring(neighbours=8, threshold=4)))
    server = LyingServer(parties, VICTIM)
    np.testing.assert_array_equal(server.split_view(server.arc()), victims_vector(parties))


@pytest.mark.slow
def test_split_view_on_a_ring_of_a_hundred(monkeypatch):
    monkeypatch.setattr(session, "is_safe", lambda *args: True)
    parties = Parties(make_session(ring(neighbours=22, threshold=6, clients=100)))
    server = LyingServer(parties, VICTIM)
    np.testing.assert_array_equal(server.split_view(server.arc()), victims_vector(parties))


def test_no_ring_against_an_active_server():
    ring(neighbours=8, threshold=5)
    with pytest.raises(SessionError, match="active"):
        SessionConfig(64, 24, 0, 23, "active", 8, 5, DIGEST)


def test_both_shares_of_one_client_are_never_given():
    parties = Parties(make_session(plan(6, 0, 4)))
    with pytest.raises(ChangedRequestError):
        LyingServer(parties, VICTIM).ask_twice()
    with pytest.raises(OrderError, match="gave this attempt up"):
        parties.clients[parties.names[0]].confirm(b"")

    parties = Parties(make_session(plan(6, 0, 4)))
    parties.clients = {
        name: ForgetfulClient(name, identity(name), parties.session, parties.keys, InMemory()) for name in parties.names
    }
    np.testing.assert_array_equal(LyingServer(parties, VICTIM).ask_twice(), victims_vector(parties))


def test_a_claimed_dropout_does_not_open_a_vector_that_came(monkeypatch):
    def find(parties: Parties) -> np.ndarray:
        server = LyingServer(parties, VICTIM)
        others = server.everybody - {VICTIM}
        return server.strip(server.mask_keys(server.ask(others, others)))

    parties = Parties(make_session(plan(6, 0, 4, dimension=64)))
    assert not np.isin(find(parties), victims_vector(parties)).any()

    def without_own_mask(vector, added, subtracted):
        add_keystreams(vector, added[1:], subtracted)

    monkeypatch.setattr(client_attempt, "add_keystreams", without_own_mask)
    parties = Parties(make_session(plan(6, 0, 4, dimension=64)))
    np.testing.assert_array_equal(find(parties), victims_vector(parties))


class OneMaskKeyForAllRounds(KeySource):
    """The fault: the mask keys of round 0 in every round; all else is fresh."""

    def __init__(self) -> None:
        self.fresh, self.fixed = OperatingSystemKeys(), SeededKeys(0)

    def stream(self, client, round, attempt, purpose):
        source = self.fixed if purpose == "mask" else self.fresh
        return source.stream(client, 0 if purpose == "mask" else round, attempt, purpose)


@pytest.mark.parametrize("reused", [True, False])
def test_a_dropout_claimed_later_does_not_open_earlier_rounds(reused):
    parties = Parties(make_session(plan(6, 0, 4)), OneMaskKeyForAllRounds() if reused else OperatingSystemKeys())
    earlier = LyingServer(parties, VICTIM)
    own_mask = earlier.self_mask_key(earlier.ask(earlier.everybody, earlier.everybody))
    parties.round = 1
    parties.open()
    later = LyingServer(parties, VICTIM)
    others = later.everybody - {VICTIM}
    found = earlier.strip(later.mask_keys(later.ask(others, others)), own_mask)
    assert np.array_equal(found, victims_vector(parties)) == reused


def test_a_client_with_another_model_is_left_alone():
    """Different models to different clients would single out one update in the sum (Pasquini et al. 2022)."""
    parties = Parties(make_session(plan()))
    victim = parties.names[VICTIM]
    messages = parties.answers(silent=[victim])
    message = parties.clients[victim].advertise(0, 0, b"a model made for the victim")
    with pytest.raises(ContextMismatchError):
        parties.server.receive(victim, message)
    parties.deliver(messages)
    with pytest.raises(ContextMismatchError):
        parties.clients[victim].share_keys(parties.requests[parties.names[0]])


def test_a_server_that_forwards_it_all_the_same_is_found_out():
    parties = Parties(make_session(plan()))
    victim, broadcast = parties.names[VICTIM], b"a model made for the victim"
    messages = parties.answers(silent=[victim])
    alone = Parties(parties.session, broadcast=broadcast)
    alone.clients[victim] = parties.clients[victim]
    message = alone.clients[victim].advertise(0, 0, broadcast)
    parties.deliver(messages)
    alone.server.receive(victim, message)
    keys = {**parties.server._own._advertised, VICTIM: alone.server._own._advertised[VICTIM]}
    with pytest.raises(InvalidSignatureError):
        parties.clients[victim].share_keys(KeyList(keys).encode(VICTIM, alone.server._own.context))


def test_a_vector_that_comes_after_its_stage_is_discarded_unread():
    parties = Parties(make_session(plan()))
    parties.advance(Stage.MASK_INPUT)
    late = parties.names[VICTIM]
    messages = parties.answers()
    parties.deliver({name: message for name, message in messages.items() if name != late})
    before = parties.server._own.total.copy()
    parties.server.receive(late, messages[late])
    assert late not in parties.requests
    assert late not in parties.server.survivors
    np.testing.assert_array_equal(parties.server._own.total, before)
    parties.advance(Stage.DONE)
    np.testing.assert_array_equal(
        parties.server.result(), parties.plain_sum(name for name in make_names(5) if name != late)
    )
