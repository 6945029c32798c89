"""What is agreed: nothing of it can differ unnoticed, and all who take part work out the same from it."""

from __future__ import annotations

import pytest

from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.key_source import OperatingSystemKeys, SeededKeys
from federation.privacy.accountant import Release, epsilon_after, epsilon_with_known_coins
from federation.privacy.owner import SessionTerms

DELTA = 1e-5


def settle(privacy: PrivacyArgs | None = None, **federation: object) -> AgreedSettings:
    return AgreedSettings(
        privacy or PrivacyArgs(), FederationArgs(**federation), AggregationArgs(), SecurityArgs(), ClippingArgs()
    )


@pytest.mark.parametrize(
    ("sampling", "rate", "contributing"), [("hidden", 0.3, 0.3), ("visible", 0.3, 1), ("all", 1, 1)]
)
def test_the_coins_decide_whose_data_is_in_a_round_and_in_a_vector(sampling, rate, contributing):
    agreed = settle(sampling=sampling, sample_rate=0.3)
    assert (agreed.federation.effective_sample_rate, agreed.contributing) == (rate, contributing)
    assert agreed.release(8) == Release(1.0, rate)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["hidden", "visible"])
def test_noise_that_is_solved_for_spends_the_target_and_no_more(sampling):
    agreed = settle(PrivacyArgs(target_epsilon=8.0, delta=DELTA), rounds=4, sampling=sampling, sample_rate=0.5)
    spent = [Release(agreed.release(8).noise_multiplier, 0.5, 4)]
    epsilon = epsilon_after(spent, DELTA) if sampling == "hidden" else epsilon_with_known_coins(spent, DELTA, 8)
    assert 7.8 < epsilon.value <= 8.0


def test_every_part_is_in_the_digest():
    digests = {settle().digest(), settle().digest()}
    assert len(digests) == 1
    for part, changed in (("privacy", "delta"), ("aggregation", "beta"), ("security", "dropout_share")):
        args = getattr(settle(), part)
        digests.add(settle()._replace(**{part: type(args)(**{changed: getattr(args, changed) / 2})}).digest())
    digests |= {settle(rounds=7).digest(), settle()._replace(clipping=ClippingArgs(adaptive=True)).digest()}
    assert len(digests) == 1 + len(AgreedSettings._fields)


def test_only_seeded_keys_follow_from_the_seed():
    def draw(keys) -> bytes:
        return keys.stream("ann", 0, 0, "noise").bytes(16)

    seeded = settle(PrivacyArgs(key_source="seeded"))
    assert draw(seeded.keys(3)) == draw(SeededKeys(3))
    assert isinstance(settle().keys(3), OperatingSystemKeys)


def test_owners_are_told_the_terms():
    agreed = settle(PrivacyArgs(enabled=False, key_source="seeded"), rounds=3, sampling="visible", sample_rate=0.2)
    assert agreed.terms(honest=5) == SessionTerms(0.2, 3, 5, "visible", "seeded", private=False)
