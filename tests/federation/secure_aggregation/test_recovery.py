"""Wrong shares are gone round and named; too many of them end the attempt."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import ShareError, TooFewClientsError
from federation.secure_aggregation.messages import Unmask
from federation.secure_aggregation.recovery import MOST_TRIES, SecretRecovery
from federation.secure_aggregation.shamir import PRIME, split
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import Parties, make_session, plan

SECRET = bytes(range(32))


def shares_with_wrong(holders: int, threshold: int, wrong: Collection[int]) -> dict[int, int]:
    shares = split(SECRET, threshold, range(1, holders + 1), KeyStream(bytes(32)))
    return {point - 1: (share + (point - 1 in wrong)) % PRIME for point, share in shares.items()}


@pytest.mark.parametrize(
    ("holders", "threshold", "wrong"),
    [(5, 3, []), (5, 3, [0]), (5, 3, [4]), (9, 5, [2, 6]), (30, 16, [0, 7, 20]), (100, 56, [3, 50, 99])],
)
def test_the_secret_comes_back_and_the_culprits_are_named(holders, threshold, wrong):
    recovery = SecretRecovery(threshold)
    shares = shares_with_wrong(holders, threshold, wrong)
    assert recovery.recover(0, shares, lambda found: found == SECRET) == SECRET
    assert recovery.culprits == (set(wrong) if wrong and wrong[0] < threshold else set())


def test_liars_whose_errors_cancel_cannot_point_at_others():
    """Of the points 1, 2, 4, 5, 6 the first and the fourth weigh 4 and -4 at 0."""
    recovery = SecretRecovery(5)
    assert recovery.recover(0, shares_with_wrong(8, 5, [0, 4, 7]), lambda found: found == SECRET) == SECRET
    assert not recovery.culprits
    assert recovery.recover(0, shares_with_wrong(6, 5, [2]), lambda found: found == SECRET) == SECRET
    assert not recovery.culprits, "one share too many cannot tell who is wrong"


def test_culprits_are_not_asked_again():
    recovery, tried = SecretRecovery(3), []
    shares = shares_with_wrong(5, 3, [0])

    def fits(found: bytes) -> bool:
        tried.append(found)
        return found == SECRET

    recovery.recover(0, shares, fits)
    first = len(tried)
    recovery.recover(1, shares, fits)
    assert len(tried) == first + 1 > 2


@pytest.mark.parametrize(("holders", "threshold", "wrong"), [(3, 3, [1]), (5, 3, [0, 1, 2]), (60, 30, range(40))])
def test_too_many_wrong_shares_end_the_attempt_after_bounded_tries(holders, threshold, wrong):
    tried = []
    shares = shares_with_wrong(holders, threshold, wrong)
    with pytest.raises(ShareError, match="client 7") as raised:
        SecretRecovery(threshold).recover(7, shares, lambda found: tried.append(found) is not None)
    assert len(tried) <= MOST_TRIES
    assert SECRET.hex() not in str(raised.value)


def test_fewer_than_t_shares_open_nothing():
    with pytest.raises(TooFewClientsError):
        SecretRecovery(4).recover(0, shares_with_wrong(3, 3, []), lambda found: True)


def bend_share(parties: Parties, holder: int, message: bytes, owner: int) -> bytes:
    """Return a client's answers with one wrong share."""
    context = parties.server._own.context
    shares = dict(Unmask.decode(message, holder, context, range(len(parties.names))).shares)
    shares[owner] = (shares[owner] + 1) % PRIME
    return Unmask(holder, shares).encode(context)


def test_a_lying_holder_is_named_and_the_sum_is_right():
    parties = Parties(make_session(plan(clients=6, colluders=1, honest=3)))
    parties.advance(Stage.UNMASK)
    messages = parties.answers()
    messages[parties.names[1]] = bend_share(parties, 1, messages[parties.names[1]], owner=4)
    parties.deliver(messages)
    assert parties.server.suspects == (parties.names[1],)
    assert (parties.server.result() == parties.plain_sum()).all()


def test_a_dealer_of_wrong_shares_ends_the_attempt_without_a_sum():
    parties = Parties(make_session(plan(clients=6, colluders=1, honest=3)))
    parties.advance(Stage.SHARE_KEYS)
    dealer = parties.clients[parties.names[3]]._attempt
    dealer._secret = bytes(32)  # not what it committed to
    with pytest.raises(ShareError, match="client 3"):
        parties.advance(Stage.DONE)
    assert parties.server.stage is None
