from __future__ import annotations

import pytest

from federation.privacy.discrete_gaussian import TOTAL_VARIATION
from federation.privacy.total_delta import SAMPLER_DISTANCE, computational_advantage, total_delta


def test_the_parts_of_delta_add_up():
    total = total_delta(1e-5, rounds=500, clients=100, dimension=10**6)
    assert total.samplers == pytest.approx(2 * 500 * 100 * 10**6 * 2.0**-115, abs=0)
    assert total.total == total.delta + total.samplers + total.computational
    assert 0 < total.computational < 1e-15
    assert 1e-5 <= total.total < 1e-5 * (1 + 1e-9)


def test_the_samplers_are_better_than_what_is_promised_of_them():
    assert TOTAL_VARIATION < SAMPLER_DISTANCE


@pytest.mark.parametrize("delta", [1e-20, 1e-25])
def test_a_delta_that_samplers_and_cryptography_could_use_up_is_refused(delta):
    with pytest.raises(ValueError, match=r"privacy\.delta.*Raise it to"):
        total_delta(delta, rounds=500, clients=100, dimension=10**6)


def test_the_delta_that_is_asked_for_is_enough():
    with pytest.raises(ValueError, match="Raise it to") as refusal:
        total_delta(1e-25, rounds=500, clients=100, dimension=10**6)
    asked = float(str(refusal.value).split("Raise it to ")[1].split()[0])
    assert total_delta(1.1 * asked, rounds=500, clients=100, dimension=10**6).delta == 1.1 * asked


def test_the_advantage_grows_with_all_that_is_hidden():
    base = computational_advantage(10, 100, 10**6)
    assert 0 < base < computational_advantage(20, 100, 10**6)
    assert base < computational_advantage(10, 200, 10**6)
    assert base < computational_advantage(10, 100, 10**7)
    assert computational_advantage(0, 100, 10**6) == 0


def test_the_mask_that_a_client_has_to_itself_counts():
    """A single client has no other: 2^30 blocks of keystream are told from uniform ones by 2^60 / 2^129."""
    assert computational_advantage(1, 1, 2**32) >= 2.0**-69
