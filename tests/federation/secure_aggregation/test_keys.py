from __future__ import annotations

import pytest

from federation.key_source import OperatingSystemKeys
from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import InvalidPublicKeyError
from federation.secure_aggregation.keys import FIELD_PRIME, KeyPair, demand_distinct, demand_sound

LOW_ORDER = [
    0,
    1,
    FIELD_PRIME - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
"""The points of order 1, 2, 4 and 8 with a canonical encoding (Bernstein, cr.yp.to/ecdh.html)."""


def pair(index: int = 0) -> KeyPair:
    return KeyPair.generate(KeyStream(index.to_bytes(32, "big")))


def test_two_clients_find_the_same_secret_and_a_third_another():
    ann, bob, eve = pair(1), pair(2), pair(3)
    assert ann.shared_secret(bob.public) == bob.shared_secret(ann.public)
    assert eve.shared_secret(bob.public) != ann.shared_secret(bob.public)


def test_pairs_never_repeat():
    stream = OperatingSystemKeys().stream("ann", 0, 0, "mask")
    assert len({KeyPair.generate(stream).public for _ in range(50)}) == 50


@pytest.mark.parametrize("number", LOW_ORDER)
def test_keys_of_low_order_are_refused(number):
    with pytest.raises(InvalidPublicKeyError, match="low order"):
        pair().shared_secret(number.to_bytes(32, "little"))


@pytest.mark.parametrize("number", [FIELD_PRIME, FIELD_PRIME + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1])
def test_keys_with_a_second_spelling_are_refused(number):
    with pytest.raises(InvalidPublicKeyError, match="canonical"):
        pair().shared_secret(number.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_size_are_refused(size):
    with pytest.raises(InvalidPublicKeyError, match="32 bytes"):
        pair().shared_secret(bytes(size))


@pytest.mark.parametrize("number", [*LOW_ORDER, FIELD_PRIME, FIELD_PRIME + 1, 2**255 + 9])
def test_who_has_no_keys_of_its_own_can_refuse_them_too(number):
    with pytest.raises(InvalidPublicKeyError):
        demand_sound(number.to_bytes(32, "little"))
    demand_sound(pair().public)


def test_a_key_is_used_by_one_client_for_one_purpose():
    demand_distinct([pair(1).public, pair(2).public])
    with pytest.raises(InvalidPublicKeyError, match="twice"):
        demand_distinct([pair(1).public, pair(2).public, pair(1).public])


def test_shares_of_a_private_key_give_the_pair_back():
    assert KeyPair.from_private(pair(1).private.private_bytes_raw()).public == pair(1).public


def test_the_private_half_is_not_printed():
    keys = pair()
    assert keys.private.private_bytes_raw().hex() not in repr(keys)
    assert keys.public.hex() in repr(keys)
