from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from federation.deployment.attempt import Patience, RemoteAttempt
from federation.secure_aggregation.errors import TooFewClientsError
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.stages import Stage
from tests.federation.deployment.simulated import PATIENCE, FailingNodes, make_federation
from tests.federation.secure_aggregation.parties import Parties, make_session, plan


def test_rounds_with_few_failures_are_released_and_exact():
    federation = make_federation(10, 1, 5)
    fates = Counter(federation.run_round(index, share=0.04) for index in range(4))
    assert fates["exact"] >= 3
    assert not fates["wrong"]


def test_rounds_with_too_many_failures_are_refused_and_later_ones_recover():
    federation = make_federation(12, 1, 9)
    shares = (0.3, 0.3, 0.0, 0.3, 0.0)
    fates = [federation.run_round(index, share) for index, share in enumerate(shares)]
    assert fates == ["refused", "refused", "exact", "refused", "exact"]


def test_a_broken_sum_would_be_noticed(monkeypatch):
    federation = make_federation(6, 1, 3)
    monkeypatch.setattr(SecureServer, "result", lambda self: self._own.total + np.uint32(1))
    assert federation.run_round(0, share=0.0) == "wrong"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("share", "released"), [(0.05, range(16, 21)), (0.2, range(1))])
def test_twenty_rounds_of_128_devices(share, released):
    federation = make_federation(128, 13, 76)  # `provision(128, 0.1, 0.3)`
    fates = Counter(federation.run_round(index, share) for index in range(20))
    assert fates["exact"] in released
    assert not fates["wrong"]
    assert federation.run_round(20, share=0.0) == "exact"


class Noisy(FailingNodes):
    """A transport that tells lies: strangers, nonsense, answers of others, everything twice."""

    def ask(self, orders, seconds):
        for client, answer in list(super().ask(orders, seconds)):
            yield "nobody", answer
            yield client, answer
            yield client, answer
        yield self.parties.names[0], b"nonsense"


def test_what_nobody_should_say_costs_only_who_said_it(caplog):
    federation = make_federation(6, 1, 3)
    parties = federation.parties
    server = SecureServer(federation.session, 0, 0, parties.broadcast, parties.names)
    attempt = RemoteAttempt(server, Noisy(parties, 0.0, federation.draws), PATIENCE)
    with pytest.raises(TooFewClientsError):
        attempt.collect(dict.fromkeys(parties.names[:3], b""))
    server = SecureServer(federation.session, 1, 0, parties.broadcast, parties.names)
    parties.round = 1
    attempt = RemoteAttempt(server, Noisy(parties, 0.0, federation.draws), PATIENCE)
    survivors = attempt.collect(dict.fromkeys(parties.names, b""))
    assert survivors == tuple(parties.names[1:])
    assert np.array_equal(attempt.release(), parties.plain_sum(survivors))
    assert "client-0000 is out of this round: A message is `bytes`" in caplog.text


class Endless:
    """A transport that never stops."""

    def ask(self, orders, seconds):
        yield from itertools.repeat(("nobody", b"nonsense"))


def test_a_transport_that_never_ends_holds_no_round():
    parties = Parties(make_session(plan()))
    attempt = RemoteAttempt(parties.server, Endless(), Patience(answer=0.05, training=0.05))
    with pytest.raises(TooFewClientsError):
        attempt.collect(parties.requests)


def test_before_the_release_the_sum_is_hidden():
    parties = Parties(make_session(plan()))
    federation = make_federation(5, 1, 3)
    attempt = RemoteAttempt(parties.server, FailingNodes(parties, 0.0, federation.draws), PATIENCE)
    attempt.collect(parties.requests)
    assert parties.server.stage is Stage.UNMASK
    assert not np.array_equal(parties.server._own.total, parties.plain_sum())
    assert np.array_equal(attempt.release(), parties.plain_sum())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_patience_is_finite(seconds):
    with pytest.raises(ValueError, match="must be a positive number of seconds"):
        Patience(answer=seconds)
