from __future__ import annotations

import pytest

from federation.privacy.keys import OperatingSystemKeys
from federation.privacy.stream import KeyStream
from federation.secure_aggregation.keys import FIELD_PRIME, InvalidPublicKeyError, MaskKeys

LOW_ORDER = [
    0,
    1,
    FIELD_PRIME - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
"""The points of order 1, 2, 4 and 8 with a canonical encoding (Bernstein, cr.yp.to/ecdh.html)."""


def pair(index: int = 0) -> MaskKeys:
    return MaskKeys.generate(KeyStream(index.to_bytes(32, "big")))


def test_two_clients_find_the_same_secret_and_a_third_another():
    ann, bob, eve = pair(1), pair(2), pair(3)
    assert ann.shared_secret(bob.public) == bob.shared_secret(ann.public)
    assert eve.shared_secret(bob.public) != ann.shared_secret(bob.public)


def test_pairs_never_repeat():
    stream = OperatingSystemKeys().stream("ann", 0, 0, "mask")
    assert len({MaskKeys.generate(stream).public for _ in range(50)}) == 50


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


def test_the_private_half_is_not_printed():
    keys = pair()
    assert keys.private.private_bytes_raw().hex() not in repr(keys)
    assert keys.public.hex() in repr(keys)
