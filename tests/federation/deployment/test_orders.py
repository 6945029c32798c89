from __future__ import annotations

import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federation.deployment.broadcast import Broadcast
from federation.deployment.orders import Begin, Continue, context_of, longest_order
from federation.secure_aggregation.errors import MalformedMessageError, ProtocolError
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.requests import KeyList, SealedShares
from federation.secure_aggregation.sealing import SEALED_BYTES
from tests.federation.secure_aggregation.parties import make_session, plan

STEPS = ((0.25, 5), (-1e-3, 124))
BROADCAST = Broadcast(0.05, "ab" * 32, torch.tensor([1.0, -2.5, 124.0]), STEPS)  # 124 holds the separator's byte


def test_an_order_comes_back():
    begin = Begin(3, 1, 12.5, BROADCAST)
    read = Begin.decode(begin.encode(), 3)
    assert (read.position, read.training) == ((3, 1), 12.5)
    assert (read.broadcast.clip_norm, read.broadcast.ledger_head) == (0.05, "ab" * 32)
    assert read.broadcast.clip_steps == STEPS
    assert torch.equal(read.broadcast.adapter, BROADCAST.adapter)
    assert read.encode() == begin.encode()


@given(clip_norm=st.floats(allow_nan=False, allow_infinity=False), words=st.binary(max_size=24))
def test_only_what_was_encoded_is_decoded(clip_norm, words):
    content = Broadcast(clip_norm, "", torch.zeros(2)).encode()
    assert Broadcast.decode(content, 2).encode() == content
    try:
        assert Broadcast.decode(words, 2).encode() == words
    except MalformedMessageError:
        pass


NAN = struct.pack("<f", math.nan)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1.0",
        b"1.0|||",
        b"1.0||" + bytes(8),
        b"1|||" + bytes(8),
        b"+1.0|||" + bytes(8),
        b"nan|||" + bytes(8),
        b"1.0|" + b"zz" * 32 + b"||" + bytes(8),
        b"1.0|||" + bytes(9),
        b"1.0|||" + NAN + bytes(4),
        b"0" * 40 + b"|||" + bytes(8),
        b"1.0||" + b"00" * 11 + b"|" + bytes(8),
        b"1.0||" + b"AB" * 12 + b"|" + bytes(8),
        b"1.0||" + b"7ff80000000000000000000a|" + bytes(8),
    ],
)
def test_another_spelling_is_refused(content):
    with pytest.raises(ProtocolError):
        Broadcast.decode(content, 2)


@pytest.mark.parametrize("order", [b"", b"BEG0", b"ADV1" + bytes(40), b"BEG0" + bytes(12)])
def test_what_is_no_order_is_refused(order):
    with pytest.raises(MalformedMessageError):
        Begin.decode(order, 2)


def test_a_request_tells_its_context():
    assert context_of(b"KEY1" + bytes(4) + b"c" * 32 + b"body") == b"c" * 32
    with pytest.raises(MalformedMessageError, match="Got 3"):
        context_of(b"KEY")


def test_an_order_for_a_later_round_comes_back():
    later = Continue(Begin(3, 1, 12.5, BROADCAST), b"SEA2 and so on")
    read = Continue.decode(later.encode(), 3)
    assert (read.begin.position, read.request) == ((3, 1), later.request)
    assert read.encode() == later.encode()


@pytest.mark.parametrize(
    "order", [b"", b"CNT0", b"CNT0" + bytes(4), b"CNT0" + b"\xff" * 4 + bytes(90), b"BEG0" + bytes(90)]
)
def test_what_is_no_order_for_a_later_round_is_refused(order):
    with pytest.raises(MalformedMessageError):
        Continue.decode(order, 3)


def test_the_longest_order_fits():
    session, begin = make_session(plan(dimension=4)), Begin(0, 0, 1.0, BROADCAST, rounds=64)
    everybody = range(len(session.roster.clients))
    keys = KeyList({client: Advertise(client, bytes(32), bytes(32), bytes(32)) for client in everybody})
    shares = SealedShares(dict.fromkeys(everybody, bytes(SEALED_BYTES)))
    assert len(Continue(begin, shares.encode(0, bytes(32))).encode()) <= longest_order(session)
    assert 64 * len(keys.encode(0, bytes(32))) <= longest_order(session, epoch_rounds=64)
    order = Begin(0, 0, 1.0, Broadcast(0.1 + 0.2, "ab" * 32, torch.zeros(2), ((0.1, 2**32 - 1),) * 20))
    assert len(order.encode()) <= longest_order(session, rounds=20)
