from __future__ import annotations

import json
from dataclasses import replace

import pytest

from federation.privacy.owner import OwnerLimits, OwnerRefusalError, SessionTerms

TERMS = SessionTerms(sample_rate=0.5, rounds=100, honest=7)
LIMITS = OwnerLimits(sample_rate=0.5, rounds=100, honest=7)


def test_terms_within_the_limits_are_accepted():
    LIMITS.demand(TERMS)
    OwnerLimits().demand(TERMS)


@pytest.mark.parametrize(
    ("change", "named", "permission"),
    [
        ({"sample_rate": 0.6}, "sample_rate 0.6", {"sample_rate": 0.6}),
        ({"rounds": 101}, "rounds 101", {"rounds": 101}),
        ({"honest": 6}, "honest 6", {"honest": 6}),
        ({"key_source": "seeded"}, "seeded keys", {"seeded_keys": True}),
        ({"private": False}, "privacy off", {"privacy_off": True}),
        ({"sampling": "visible"}, "visible sampling", {"visible_sampling": True}),
    ],
)
def test_whatever_the_owner_has_not_allowed_is_refused_by_name(tmp_path, change, named, permission):
    terms, path = replace(TERMS, **change), tmp_path / "owner.json"
    with pytest.raises(OwnerRefusalError, match=named):
        LIMITS.demand(terms)
    path.write_text(json.dumps({"sample_rate": 0.5, "rounds": 100, "honest": 7, **permission}))
    OwnerLimits.read(path).demand(terms)


def test_without_privacy_there_is_no_noise_whose_makers_could_be_too_few():
    without = replace(TERMS, honest=0, private=False)
    OwnerLimits(honest=7, privacy_off=True).demand(without)
    with pytest.raises(OwnerRefusalError, match="honest 0"):
        OwnerLimits(honest=7, privacy_off=True).demand(replace(without, private=True))


def test_several_excesses_are_named_together():
    with pytest.raises(OwnerRefusalError, match=r"rounds 500 .* seeded keys, privacy off"):
        LIMITS.demand(replace(TERMS, rounds=500, key_source="seeded", private=False))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "JSON"),
        ("[1]", "JSON"),
        ("3", "JSON"),
        ('{"epsilom": 8}', "Got epsilom"),
        ('{"epsilon": "8"}', "number"),
        ('{"honest": true}', "number"),
        ('{"privacy_off": "false"}', "`privacy_off` must be true or false. Got 'false'"),
        ('{"seeded_keys": 1}', "`seeded_keys` must be true or false"),
        ('{"visible_sampling": null}', "`visible_sampling` must be true or false"),
    ],
)
def test_an_owners_file_that_says_nothing_clear_is_refused(tmp_path, text, complaint):
    path = tmp_path / "owner.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        OwnerLimits.read(path)


@pytest.mark.parametrize(
    "change",
    [{"epsilon": -1}, {"delta": 0.0}, {"delta": "1e-5"}, {"delta": None}, {"rounds": 0}, {"sample_rate": float("nan")}],
)
def test_impossible_limits_are_refused(change):
    with pytest.raises(ValueError, match="must"):
        OwnerLimits(**change)
