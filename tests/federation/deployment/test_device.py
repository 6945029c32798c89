from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from federation.args import ClippingArgs
from federation.deployment import device as device_file
from federation.deployment.client_half import ClientHalf
from federation.deployment.clock import Clock
from federation.deployment.device import BEGIN_SECONDS, WORK_SECONDS
from federation.deployment.device_books import DeviceBooks
from federation.deployment.orders import Begin, Continue
from federation.deployment.signed_norm import SignedNorm
from federation.key_source import SeededKeys
from federation.privacy.composition import Epsilon
from federation.privacy.device_ledger import DeviceLedger
from federation.privacy.owner import OwnerRefusalError
from federation.secure_aggregation.errors import (
    ChangedRequestError,
    ContextMismatchError,
    MalformedMessageError,
    OrderError,
    ProtocolError,
    TooFewClientsError,
)
from federation.secure_aggregation.memory import catch_up
from federation.secure_aggregation.requests import SealedShares
from tests.federation.deployment.devices import (
    ROUNDS,
    SIZE,
    TRAINING,
    DeviceNodes,
    HandClock,
    begin_attempt,
    expected_sum,
    make_device,
    make_device_session,
    make_nodes,
    make_order,
)

HEADS = ("ab" * 32, "cd" * 32)
TAGS = (b"ADV1", b"SHA2", b"MSK3", b"CON4", b"UNM5")


@pytest.fixture(scope="module")
def session():
    return make_device_session()


@pytest.mark.parametrize("fates", [{}, {1: "late", 3: "crashed"}])
def test_the_sum_is_that_of_the_same_pipeline_without_a_protocol(session, tmp_path, fates):
    keys = SeededKeys(7)
    nodes = make_nodes(session, tmp_path, fates, keys=keys, sample_rate=0.5)
    attempt = begin_attempt(session, nodes)
    assert attempt.collect() == session.roster.clients
    assert np.array_equal(attempt.release(), expected_sum(session, nodes, keys, sample_rate=0.5))


def overhear(session, folder, fate="done", keys=None, sample_rate=1.0):
    """Return kinds and sizes of what the first device says, and when it sends its vector."""
    nodes = make_nodes(session, folder, {0: fate}, keys=keys, sample_rate=sample_rate)
    attempt = begin_attempt(session, nodes)
    attempt.collect()
    attempt.release()
    clock = nodes.devices[0].clock
    return [(message[:4], len(message)) for node, message in nodes.said if node == 0], clock.woken, clock.time


@pytest.mark.parametrize("fate", ["late", "crashed"])
def test_nobody_can_tell_how_training_went(session, tmp_path, fate):
    usual = overhear(session, tmp_path / "usual")
    assert overhear(session, tmp_path / fate, fate) == usual
    assert tuple(tag for tag, _ in usual[0]) == TAGS
    assert usual[1] == [BEGIN_SECONDS, TRAINING, TRAINING + WORK_SECONDS]


def test_nobody_can_tell_the_coin(session, tmp_path):
    views = [overhear(session, tmp_path / str(seed), keys=SeededKeys(seed), sample_rate=0.5) for seed in range(6)]
    coins = {SeededKeys(seed).stream("client-0000", 0, 0, "coin").bernoulli(0.5) for seed in range(6)}
    assert coins == {True, False}
    assert all(view == views[0] for view in views)


def test_a_device_that_sends_when_it_is_done_is_noticed(session, tmp_path, monkeypatch):
    """The fault: the vector leaves as soon as training ends, which for a failed one is at the deadline."""
    usual = overhear(session, tmp_path / "usual")

    def send_at_once(self, order):
        trained = self.trainer.take(self._begin)
        self.clock.sleep_until(5.0 if trained else self._due)
        return self.client.mask_input(order, self.half.encode(self._begin, trained))

    monkeypatch.setattr(device_file.Device, "_mask", send_at_once)
    assert overhear(session, tmp_path / "eager") != overhear(session, tmp_path / "late", "late")
    assert overhear(session, tmp_path / "again", "late") != usual


def hold_back(session, folder, seconds: float, times: int = 1):
    """Return a device whose order to mask comes long after training has ended, and when its replies left."""
    nodes, left = make_nodes(session, folder), []
    device, ask = nodes.devices[0], nodes.ask

    def late(orders, duration):
        if orders[0][:4] == SealedShares.TAG:
            for _ in range(times):
                device.clock.time += seconds
                reply = device.answer(orders[0])
                left.append((device.clock.time, reply))
        yield from ask(orders, duration)

    nodes.ask = late
    begin_attempt(session, nodes).collect()
    return device, left


def mask_at_a_fixed_time(self, order):
    """The fault: for an order that is held back until then, the reply leaves as soon as the work is done."""
    due = self._due
    self.clock.sleep_until(due)
    message = self.client.mask_input(order, self.half.encode(self._begin, self.trainer.take(self._begin)))
    self.clock.sleep_until(due + WORK_SECONDS)
    return message


@pytest.mark.parametrize("fault", [None, mask_at_a_fixed_time])
def test_nobody_can_time_the_work_by_holding_the_order_back(session, tmp_path, monkeypatch, fault):
    if fault is not None:
        monkeypatch.setattr(device_file.Device, "_mask", fault)
    arrived = BEGIN_SECONDS + 2 * TRAINING
    _, [(left, _)] = hold_back(session, tmp_path, 2 * TRAINING)
    assert (left == arrived + WORK_SECONDS) is (fault is None)


class Watched(HandClock):
    """Notes whether other orders would be answered while one waits for its time."""

    def __init__(self, device: device_file.Device) -> None:
        super().__init__()
        self.device, self.held = device, {}

    def sleep_until(self, moment, unless=None):
        self.held[moment] = self.device._lock.locked()
        super().sleep_until(moment, unless)


@pytest.mark.parametrize("fault", [None, mask_at_a_fixed_time])
def test_no_other_order_is_answered_between_the_work_and_its_fixed_time(session, tmp_path, monkeypatch, fault):
    """Or the moment of that answer would show how long clip, noise and masks, or ending a late training, took."""
    if fault is not None:
        monkeypatch.setattr(device_file.Device, "_mask", fault)
    nodes = make_nodes(session, tmp_path)
    clock = nodes.devices[0].clock = Watched(nodes.devices[0])
    begin_attempt(session, nodes).collect()
    assert clock.held[BEGIN_SECONDS]
    assert not clock.held[TRAINING]  # a new attempt must get in
    assert clock.held[TRAINING + WORK_SECONDS] is (fault is None)


def test_an_order_to_mask_that_is_refused_takes_as_long_as_one_that_is_answered(session, tmp_path):
    nodes = make_nodes(session, tmp_path)
    device, ask = nodes.devices[0], nodes.ask

    def spoil_first(orders, seconds):
        return ask({node: order if node else spoil(order) for node, order in orders.items()}, seconds)

    nodes.ask = spoil_first
    assert session.roster.clients[0] not in begin_attempt(session, nodes).collect()
    assert device.clock.time == TRAINING + WORK_SECONDS


@pytest.mark.parametrize("fault", [None, mask_at_a_fixed_time])
def test_an_order_that_is_repeated_makes_no_other_vector(session, tmp_path, monkeypatch, fault):
    """Or whoever repeats it could time as many coins as it likes."""
    if fault is not None:
        monkeypatch.setattr(device_file.Device, "_mask", fault)
    made, encode = [], ClientHalf.encode
    monkeypatch.setattr(ClientHalf, "encode", lambda self, *args: made.append(self.client) or encode(self, *args))
    device, left = hold_back(session, tmp_path, 1.0, times=4)
    assert len({reply for _, reply in left}) == 1
    assert (made.count(device.half.client) == 1) is (fault is None)


class IgnoresTheTime(Begin):
    """The fault: the time to train is no part of what must be agreed on."""

    @property
    def agreed(self) -> bytes:
        return self.broadcast.encode()


@pytest.mark.parametrize("kind", [Begin, IgnoresTheTime])
def test_a_device_with_time_to_train_among_others_without_is_in_no_sum(session, tmp_path, monkeypatch, kind):
    """Or a server could have one update alone in the sum: those who had no time send zeros."""
    monkeypatch.setattr("federation.deployment.orders.Begin.agreed", kind.agreed)
    nodes, order = make_nodes(session, tmp_path), make_order()
    ask, longer = nodes.ask, replace(order, training=2 * TRAINING).encode()
    nodes.ask = lambda orders, seconds: ask(
        {node: longer if node == 0 and sent[:4] == Begin.TAG else sent for node, sent in orders.items()}, seconds
    )
    survivors = begin_attempt(session, nodes, order).collect()
    assert (session.roster.clients[0] in survivors) is (kind is IgnoresTheTime)


def test_a_round_is_charged_before_it_is_unmasked_and_once(session, tmp_path):
    nodes = make_nodes(session, tmp_path)
    attempt = begin_attempt(session, nodes)
    attempt.collect()
    books = nodes.devices[0].books.ledger
    assert (len(books._reserved), len(books._charged)) == (1, 0)
    attempt.release()
    assert len(books._charged) == 1
    order = nodes.orders[-1][0]
    assert nodes.devices[0].answer(order) == nodes.said[-5][1]
    assert len(books._charged) == 1


def test_attempts_that_get_no_vector_cost_nothing(session, tmp_path):
    """Or whoever sends orders could use up all that an owner allows."""
    device = make_device("client-0000", session, tmp_path)
    for attempt in range(3):
        device.answer(make_order(attempt=attempt).encode())
    nodes = make_nodes(session, tmp_path / "all")
    ask = nodes.ask
    nodes.ask = lambda orders, seconds: ask({node: spoil(order) for node, order in orders.items()}, seconds)
    with pytest.raises(TooFewClientsError):
        begin_attempt(session, nodes).collect()
    assert all(not device.books.ledger._reserved for device in (device, *nodes.devices.values()))


def spoil(order: bytes) -> bytes:
    """Return what is no order to mask, though it begins like one."""
    return order + b"x" * (order[:4] == SealedShares.TAG)


def test_what_the_ledger_knows_is_not_answered_again_by_a_home_that_lost_its_memory(session, tmp_path):
    """The fault: a backup without `memory`, and a server that begins the same attempt again."""
    nodes = make_nodes(session, tmp_path)
    begin_attempt(session, nodes, make_order(1)).collect()
    for is_caught_up in (False, True):
        device = make_device("client-0000", session, tmp_path)
        if is_caught_up:
            catch_up(device.client.memory, session.id, device.books.newest)
            with pytest.raises(OrderError, match="begun by a process that is gone"):
                device.answer(make_order(1).encode())
        assert device.answer(make_order(1, 1 if is_caught_up else 0).encode())


def test_without_room_in_the_budget_nothing_is_said(session, tmp_path, monkeypatch):
    monkeypatch.setattr(DeviceLedger, "epsilon", lambda self, *further: Epsilon(2.0, "prv"))
    device = make_device("client-0000", session, tmp_path, epsilon=1.0)
    with pytest.raises(OwnerRefusalError, match="its owner allows"):
        device.answer(make_order().encode())
    assert device.trainer.started == []


def test_a_repeated_order_gets_the_same_reply_and_trains_once(session, tmp_path):
    device = make_device("client-0000", session, tmp_path)
    order = make_order().encode()
    assert device.answer(order) == device.answer(order)
    assert device.trainer.started == [(0, 0)]


class Bed(Clock):
    """Tells when somebody lies in it."""

    def __init__(self) -> None:
        self.taken = Event()

    def sleep_until(self, moment, unless=None):
        self.taken.set()
        super().sleep_until(moment, unless)


def test_who_waits_for_an_attempt_that_is_over_is_let_go(session, tmp_path):
    """Or a server that is started anew a few times while devices train would find all connections taken."""
    nodes = make_nodes(session, tmp_path)
    device, ask, kept = nodes.devices[0], nodes.ask, {}
    device.clock = Bed()
    nodes.ask = lambda orders, seconds: kept.update(orders) or (ask(orders, seconds) if len(nodes.orders) < 2 else [])
    with pytest.raises(TooFewClientsError):
        begin_attempt(session, nodes).collect()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(device.answer, kept[0])
        assert device.clock.taken.wait(TRAINING / 2)
        device.answer(make_order(attempt=1).encode())
        with pytest.raises(ContextMismatchError, match="of another attempt"):
            waiting.result(TRAINING / 2)


def test_an_old_order_does_not_end_the_attempt(session, tmp_path):
    """A device that slept and wakes, a superlink that repeats itself."""
    nodes = make_nodes(session, tmp_path)
    first = begin_attempt(session, nodes, make_order(0, 0, HEADS[0]))
    first.collect()
    old = [orders[0] for orders in nodes.orders]
    second = begin_attempt(session, nodes, make_order(0, 1, HEADS[1]))
    ask = nodes.ask

    def ask_twice(orders, seconds):
        for order in old:
            with pytest.raises((ContextMismatchError, OrderError)):
                nodes.devices[0].answer(order)
        yield from ask(orders, seconds)

    nodes.ask = ask_twice
    nodes.devices[0].answer(second.begin)
    assert second.collect() == session.roster.clients
    assert np.any(second.release())


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (b"", MalformedMessageError),
        (b"UNM5" + bytes(36), MalformedMessageError),
        (b"pickle me", MalformedMessageError),
        (b"BEG0", MalformedMessageError),
        (b"KEY1", ContextMismatchError),
        (b"SIG4" + bytes(36), ContextMismatchError),
        (make_order().encode() + b"x", MalformedMessageError),
        (make_order(clip_norm=2.0).encode(), ContextMismatchError),
        (make_order(ROUNDS).encode(), ContextMismatchError),
    ],
)
def test_what_no_server_should_say_is_refused_and_changes_nothing(session, tmp_path, order, error):
    device = make_device("client-0000", session, tmp_path)
    with pytest.raises(error):
        device.answer(order)
    assert device.trainer.started == []
    assert device.answer(make_order().encode())[:4] == b"ADV1"


def test_unmasking_before_the_survivors_are_confirmed_is_refused_and_costs_nothing(session, tmp_path):
    device = make_device("client-0000", session, tmp_path)
    context = device.answer(make_order().encode())[8:40]
    with pytest.raises(OrderError):
        device.answer(b"SIG4" + bytes(4) + context)
    assert not device.books.ledger._charged


def test_another_request_of_the_same_stage_ends_the_attempt(session, tmp_path):
    nodes = make_nodes(session, tmp_path)
    begin_attempt(session, nodes).collect()
    device, request = nodes.devices[0], nodes.orders[3][0]
    with pytest.raises(ChangedRequestError):
        device.answer(request + b"x")
    with pytest.raises(ProtocolError):
        device.answer(request)


def test_a_device_that_gave_up_does_not_repeat_its_vector(session, tmp_path):
    nodes = make_nodes(session, tmp_path)
    begin_attempt(session, nodes).collect()
    device, request = nodes.devices[0], nodes.orders[2][0]
    assert device.answer(request)[:4] == b"MSK3"
    with pytest.raises(ChangedRequestError):
        device.answer(request + b"x")
    with pytest.raises(OrderError, match="gave this attempt up"):
        device.answer(request)


def test_the_noise_is_prepared_before_the_first_round(session, tmp_path):
    device = make_device("client-0000", session, tmp_path)
    device.half.warm_up(device.size, device.norm.first)
    noise = device.half.pipeline[-1]
    prepared = dict(noise._samplers)
    device.half.encode(make_order(), None)
    assert len(prepared) == 1
    assert noise._samplers == prepared


def test_a_moving_clip_norm_takes_a_coordinate(session, tmp_path):
    device = make_device("client-0000", session, tmp_path)
    assert device.size == SIZE
    device.norm = SignedNorm(1.0, ClippingArgs(adaptive=True))
    assert device.size == SIZE - 1


STEADY = TAGS[2:]


def run_epoch(session, folder, rounds: int = 3, **kwargs) -> DeviceNodes:
    """Run an epoch of devices and return all that they were asked and said."""
    nodes = make_nodes(session, folder, epoch_rounds=rounds, **kwargs)
    attempt = begin_attempt(session, nodes, make_order(rounds=rounds))
    attempt.collect()
    attempt.release()
    for index in range(1, rounds):
        assert attempt.enter(make_order(index, rounds=rounds)) == session.roster.clients
        assert np.any(attempt.release())
    return nodes


def test_in_an_epoch_later_rounds_take_three_messages(session, tmp_path):
    nodes = run_epoch(session, tmp_path)
    device = nodes.devices[0]
    assert [message[:4] for node, message in nodes.said if node == 0] == [*TAGS, *STEADY, *STEADY]
    assert device.trainer.started == [(0, 0), (1, 0), (2, 0)]
    assert [key[1:] for key in device.books.ledger._charged] == [(0, 0), (1, 0), (2, 0)]
    ends = (40.0, 81.0, 122.0)
    assert device.clock.woken == [BEGIN_SECONDS, *(moment for end in ends for moment in (end, end + WORK_SECONDS))]


def test_a_repeated_order_of_a_later_round_gets_the_same_reply_and_trains_once(session, tmp_path):
    nodes = run_epoch(session, tmp_path, rounds=2)
    device, order = nodes.devices[0], nodes.orders[5][0]
    said = nodes.said[-3 * len(nodes.devices)][1]
    assert (order[:4], said[:4]) == (b"CNT0", b"MSK3")
    assert device.answer(order) == said
    assert device.trainer.started == [(0, 0), (1, 0)]


def test_more_rounds_than_were_signed_are_refused(session, tmp_path):
    device = make_device("client-0000", session, tmp_path, epoch_rounds=2)
    for rounds in (0, 3, 2**32 - 1):
        with pytest.raises(ContextMismatchError, match="up to 2 rounds"):
            device.answer(make_order(rounds=rounds).encode())
    assert device.trainer.started == []
    assert device.answer(make_order(rounds=2).encode())[:4] == b"ADV1"


@pytest.mark.parametrize(
    ("begin", "error"),
    [
        (make_order(ROUNDS), ContextMismatchError),
        (make_order(1, clip_norm=2.0), ContextMismatchError),
        (make_order(0), OrderError),
        (make_order(3), OrderError),
    ],
)
def test_a_later_round_that_was_not_agreed_on_is_refused_and_changes_nothing(session, tmp_path, begin, error):
    nodes = make_nodes(session, tmp_path, epoch_rounds=2)
    attempt = begin_attempt(session, nodes, make_order(rounds=2))
    attempt.collect()
    attempt.release()
    device = nodes.devices[0]
    with pytest.raises(error):
        device.answer(Continue(begin, b"SEA2" + bytes(36)).encode())
    with pytest.raises(MalformedMessageError):
        device.answer(Continue(make_order(1), b"").encode()[:-30])
    assert device.trainer.started == [(0, 0)]
    assert attempt.enter(make_order(1)) == session.roster.clients


def test_an_owner_who_allows_no_more_falls_silent_in_a_later_round(session, tmp_path, monkeypatch):
    nodes = make_nodes(session, tmp_path, epoch_rounds=2)
    attempt = begin_attempt(session, nodes, make_order(rounds=2))
    attempt.collect()
    attempt.release()
    device = nodes.devices[0]
    device.books.ledger.allowed_epsilon = 1.0
    monkeypatch.setattr(DeviceLedger, "epsilon", lambda self, *further: Epsilon(2.0, "prv"))
    assert attempt.enter(make_order(1)) == session.roster.clients[1:]
    assert device.trainer.started == [(0, 0)]


def test_what_the_accountant_takes_is_not_taken_from_training(session, tmp_path, monkeypatch):
    nodes, demand_room = make_nodes(session, tmp_path), DeviceBooks.demand_room

    def take_a_while(self, begin):
        nodes.devices[0].clock.time += 6.0
        demand_room(self, begin)

    monkeypatch.setattr(DeviceBooks, "demand_room", take_a_while)
    device = nodes.devices[0]
    device.answer(make_order().encode())
    assert device._due == 6.0 + TRAINING
    assert device.clock.woken == [6.0 + BEGIN_SECONDS]


def test_the_accountant_is_asked_before_the_first_round_where_there_is_a_limit(session, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(DeviceLedger, "epsilon", lambda self, *further: asked.append(further))
    make_device("client-0000", session, tmp_path, epsilon=8.0).books.warm_up()
    make_device("client-0001", session, tmp_path).books.warm_up()
    assert len(asked) == 1
