"""The roster: signed offline, sorted, and refused when it brings too many new clients."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.secure_aggregation.errors import InvalidSignatureError, SessionError
from federation.secure_aggregation.roster import Roster
from tests.federation.secure_aggregation.parties import AUTHORITY, identity, make_roster

PINNED = AUTHORITY.public_key()
KEYS = tuple(identity(name).public_key().public_bytes_raw() for name in ("ann", "bob"))


def test_a_signed_roster_is_accepted():
    roster = make_roster(["bob", "ann", "zoe"])
    roster.verify(PINNED)
    assert roster.clients == ("ann", "bob", "zoe")
    assert roster.index("zoe") == 2
    assert roster.verifier(1).public_bytes_raw() == identity("bob").public_key().public_bytes_raw()


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": bytes(64)},
        {"signature": b""},
        {"edition": 1},
        {"clients": ("ann", "eve")},
        {"identities": (KEYS[0], identity("eve").public_key().public_bytes_raw())},
    ],
)
def test_a_changed_roster_is_refused(changes):
    with pytest.raises(InvalidSignatureError):
        replace(make_roster(["ann", "bob"]), **changes).verify(PINNED)


def test_a_roster_that_the_server_signed_is_refused():
    server = Ed25519PrivateKey.generate()
    with pytest.raises(InvalidSignatureError):
        Roster.sign({"ann": identity("ann").public_key()}, server).verify(PINNED)


@pytest.mark.parametrize(
    ("clients", "identities", "edition"),
    [
        ((), (), 0),
        (("bob", "ann"), KEYS, 0),
        (("ann", "ann"), KEYS, 0),
        (("ann",), KEYS, 0),
        (("", "bob"), KEYS, 0),
        (("a" * 256, "bob"), KEYS, 0),
        (("ann", "bob"), (KEYS[0], KEYS[0]), 0),
        (("ann", "bob"), (KEYS[0], KEYS[1][:-1]), 0),
        (("ann", "bob"), KEYS, -1),
    ],
)
def test_a_malformed_roster_cannot_be_made(clients, identities, edition):
    with pytest.raises(SessionError):
        Roster(clients, identities, edition, b"")


def test_a_roster_may_grow_by_its_share_only():
    ten = [f"client {number}" for number in range(10)]
    known = make_roster(ten)
    make_roster([*ten, "one more"], 1).demand_small_change(known, growth=0.1)
    make_roster(ten[:3], 1).demand_small_change(known, growth=0.1)
    known.demand_small_change(known, growth=0)
    with pytest.raises(SessionError, match="2 new clients"):
        make_roster([*ten, "one more", "and another"], 1).demand_small_change(known, growth=0.1)
    with pytest.raises(SessionError, match="6 new clients beside 10"):
        make_roster([*ten, *(f"one more {number}" for number in range(6))], 1).demand_small_change(known, growth=0.5)


def test_exchanged_clients_count_as_new():
    names = [f"client {number}" for number in range(10)]
    known = make_roster(names)
    with pytest.raises(SessionError, match="5 new clients"):
        make_roster([*names[:5], *(f"invented {number}" for number in range(5))], 1).demand_small_change(known, 0.1)
    rekeyed = Roster.sign({name: identity(f"{name} anew").public_key() for name in names}, AUTHORITY, edition=1)
    with pytest.raises(SessionError, match="10 new clients"):
        rekeyed.demand_small_change(known, growth=0.1)


def test_an_older_roster_or_another_of_the_same_edition_does_not_come_back():
    known = make_roster(["ann", "bob", "zoe"], edition=3)
    for roster in (make_roster(["ann", "bob"], edition=2), make_roster(["ann", "bob"], edition=3)):
        with pytest.raises(SessionError, match="later than edition 3"):
            roster.demand_small_change(known, growth=1)


def test_names_cannot_run_into_each_other():
    first, second = (dict(zip(names, ("ann", "bob"), strict=True)) for names in (("ab", "c"), ("a", "bc")))
    rosters = [Roster.sign({n: identity(i).public_key() for n, i in r.items()}, AUTHORITY) for r in (first, second)]
    assert rosters[0].to_bytes() != rosters[1].to_bytes()
