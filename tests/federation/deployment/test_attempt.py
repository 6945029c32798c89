from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from federation.deployment.patience import Patience
from federation.key_stream import KeyStream
from federation.privacy.cohort_counts import provision
from federation.secure_aggregation.errors import TooFewClientsError
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.signing import sign_advertised
from federation.secure_aggregation.stages import Stage
from tests.federation.deployment.simulated import FailingNodes, make_federation
from tests.federation.fuzz import is_full
from tests.federation.secure_aggregation.parties import identity

WHOLE = pytest.mark.skipif(not is_full(), reason="a quarter of an hour: make audit")
EPOCHS = pytest.mark.parametrize("epoch_rounds", [1, pytest.param(3, marks=pytest.mark.slow)])


@EPOCHS
def test_rounds_with_few_failures_are_released_and_exact(epoch_rounds):
    federation = make_federation(10, 1, 5, epoch_rounds)
    fates = Counter(federation.run_round(index, share=0.04) for index in range(4))
    assert fates["exact"] >= 3
    assert not fates["wrong"]


@EPOCHS
def test_rounds_with_too_many_failures_are_refused_and_later_ones_recover(epoch_rounds):
    federation = make_federation(12, 1, 9, epoch_rounds)
    shares = (0.3, 0.3, 0.0, 0.3, 0.0)
    fates = [federation.run_round(index, share) for index, share in enumerate(shares)]
    assert fates == ["refused", "refused", "exact", "refused", "exact"]


def test_a_broken_sum_would_be_noticed(monkeypatch):
    federation = make_federation(6, 1, 3)
    monkeypatch.setattr(SecureServer, "result", lambda self: self._own.total + np.uint32(1))
    assert federation.run_round(0, share=0.0) == "wrong"


def test_steady_rounds_ask_three_times_and_a_refused_one_begins_a_new_epoch():
    federation = make_federation(6, 1, 3, epoch_rounds=4)
    fates = [federation.run_round(index, share) for index, share in enumerate((0, 0, 1, 0, 0))]
    assert fates == ["exact", "exact", "refused", "exact", "exact"]
    asked = federation.nodes.asked
    assert asked == {"ADVERTISE": 2, "SHARE_KEYS": 2, "MASK_INPUT": 5, "CONFIRM": 4, "UNMASK": 4}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("devices", [20, pytest.param(128, marks=WHOLE)])
@pytest.mark.parametrize("epoch_rounds", [1, 5])
@pytest.mark.parametrize(("share", "released"), [(0.05, range(16, 21)), (0.2, range(1))])
def test_twenty_rounds_of_many_devices(share, released, epoch_rounds, devices):
    cohort = provision(devices, 0.1, 0.3)
    federation = make_federation(devices, cohort.colluders, cohort.honest, epoch_rounds)
    fates = Counter(federation.run_round(index, share) for index in range(20))
    assert fates["exact"] in released
    assert not fates["wrong"]
    assert federation.run_round(20, share=0.0) == "exact"


class Noisy(FailingNodes):
    """A transport that tells lies: strangers, nonsense, everything twice, another client's words."""

    def ask(self, orders, seconds):
        for node, answer in list(super().ask(orders, seconds)):
            yield 1000 + node, answer[:-1]
            yield node, answer
            yield node, answer
            yield 99, answer
        yield 0, b"nonsense"


def test_what_nobody_should_say_costs_at_most_who_said_it(caplog):
    federation = make_federation(6, 1, 3)
    attempt = federation.begin(0, Noisy(federation.parties))
    survivors = attempt.collect()
    assert survivors == tuple(federation.parties.names[1:])
    assert np.array_equal(attempt.release(), federation.parties.plain_sum(survivors))
    assert "Node 99 is refused: A client has one device" in caplog.text
    assert "client-0000 is out of this round: A message is `bytes`" in caplog.text


class Intruder(FailingNodes):
    """A node that the transport admits: it signs with a key of its own, under a number of the roster or beyond."""

    number: int = 2

    def everybody(self):
        return [77, *super().everybody()]

    def ask(self, orders, seconds):
        if self.stage is Stage.ADVERTISE:
            context = self.parties.session.context(0, 0, self.parties.broadcast)
            keys = Advertise(self.number, *(KeyPair.generate(KeyStream(bytes(32))).public for _ in range(2)), bytes(32))
            yield 77, sign_advertised(keys, identity("somebody else"), context).encode(context)
        assert (77 in orders) == (self.stage is Stage.ADVERTISE)
        yield from super().ask({node: order for node, order in orders.items() if node != 77}, seconds)


@pytest.mark.parametrize("number", [2, 6, 2**32 - 1])
def test_a_node_off_the_roster_is_refused_and_harms_nobody(caplog, number):
    federation = make_federation(6, 1, 3)
    nodes = Intruder(federation.parties)
    nodes.number = number
    attempt = federation.begin(0, nodes)
    assert attempt.collect() == tuple(federation.parties.names)
    assert caplog.text.count("Node 77 is refused: ") == 1


def test_without_the_check_the_intruder_would_throw_a_client_out(monkeypatch):
    federation = make_federation(6, 1, 3)
    monkeypatch.setattr("federation.deployment.recognition.verify_advertised", lambda *args: None)
    assert "client-0002" not in federation.begin(0, Intruder(federation.parties)).collect()


class Endless(FailingNodes):
    """A transport that never stops."""

    def ask(self, orders, seconds):
        yield from itertools.repeat((0, b"nonsense"))


def test_a_transport_that_never_ends_holds_no_round():
    federation = make_federation()
    attempt = federation.begin(0, Endless(federation.parties), Patience(answer=0.05, training=0.05))
    with pytest.raises(TooFewClientsError):
        attempt.collect()


def test_before_the_release_the_sum_is_hidden():
    federation = make_federation()
    attempt = federation.begin(0)
    attempt.collect()
    assert attempt.server.stage is Stage.UNMASK
    assert not np.array_equal(attempt.server._own.total, federation.parties.plain_sum())
    assert np.array_equal(attempt.release(), federation.parties.plain_sum())
