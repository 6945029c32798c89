"""Sessions: every number is bound by the id, every part of the place in time by the context."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.secure_aggregation.errors import InvalidSignatureError, SessionError
from federation.secure_aggregation.session import Session, SessionConfig
from tests.federation.secure_aggregation.parties import AUTHORITY, DIGEST, make_names, make_roster, make_session, plan

CONFIG = plan(clients=10, colluders=1, honest=6)
CHANGES = [
    {"dimension": 9},
    {"colluders": 0},
    {"honest": 7},
    {"adversary": "honest_but_curious"},
    {"threshold": CONFIG.threshold + 1},
    {"digest": bytes(32)},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_every_setting_changes_the_id(changes):
    changed = replace(CONFIG, **changes)
    assert changed.to_bytes() != CONFIG.to_bytes()
    assert make_session(changed).id != make_session(CONFIG).id


def test_roster_and_nonce_change_the_id_too():
    other = [*make_names(9), "somebody else"]
    ids = {make_session(CONFIG).id, make_session(CONFIG, other).id, make_session(CONFIG, nonce=b"\1" * 32).id}
    assert len(ids) == 3
    assert {len(found) for found in ids} == {32}


def test_the_context_is_of_one_attempt_and_one_broadcast():
    session, other = make_session(CONFIG), make_session(CONFIG, nonce=b"\1" * 32)
    places = [(0, 0, b"a"), (0, 1, b"a"), (1, 0, b"a"), (0, 0, b"b"), (0, 0, b""), (256, 0, b"a"), (0, 256, b"a")]
    contexts = {s.context(*place) for s in (session, other) for place in places}
    assert len(contexts) == 2 * len(places)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (2**32, 0), (0, 2**32)])
def test_rounds_and_attempts_are_in_range(place):
    with pytest.raises(SessionError, match="2\\^32"):
        make_session(CONFIG).context(*place, b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"dimension": 0},
        {"honest": 0},
        {"honest": 10},
        {"colluders": -1},
        {"colluders": 5},
        {"threshold": CONFIG.threshold - 1},
        {"threshold": 11},
        {"threshold": 0},
        {"neighbours": 8},
        {"neighbours": 10},
        {"digest": bytes(31)},
        {"clients": 0},
        {"clients": 12},
    ],
)
def test_an_unsafe_configuration_cannot_be_made(changes):
    with pytest.raises(SessionError):
        replace(CONFIG, **changes)


def test_the_plan_says_what_it_needs():
    assert (CONFIG.graph, CONFIG.neighbours, CONFIG.threshold) == ("complete", 9, 6)
    assert (CONFIG.least_survivors, CONFIG.least_clients) == (7, 7)
    ring = SessionConfig.plan(8, 200, 10, 170, "honest_but_curious", DIGEST)
    assert ring.graph == "harary"
    assert ring.neighbours < 199


def test_three_clients_tolerate_no_collusion():
    assert plan(3, 0, 2).threshold == 2
    assert plan(3, 1, 2).threshold == 3


def test_a_session_is_signed_by_the_rosters_key():
    session = make_session(CONFIG)
    session.verify(AUTHORITY.public_key())
    server = Ed25519PrivateKey.generate()
    roster = make_roster(make_names(10))
    for forged in (
        replace(session, nonce=b"\1" * 32),
        replace(session, config=replace(CONFIG, honest=1)),
        Session.sign(roster, CONFIG, bytes(32), server),
    ):
        with pytest.raises(InvalidSignatureError):
            forged.verify(AUTHORITY.public_key())


def test_an_active_server_does_not_choose_the_cohort():
    with pytest.raises(SessionError, match="whole roster"):
        make_session(CONFIG, make_names(11))
    with pytest.raises(SessionError, match="whole roster"):
        make_session(CONFIG, make_names(9))
    assert make_session(replace(CONFIG, adversary="honest_but_curious"), make_names(11))


def test_the_nonce_has_32_bytes():
    with pytest.raises(SessionError, match="nonce"):
        make_session(CONFIG, nonce=bytes(31))
