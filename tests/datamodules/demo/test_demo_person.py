"""People differ, clients have what the public never has, and nobody but the mouth wears magenta."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from datamodules.demo.person import draw_person
from datamodules.demo.seeds import HELD_OUT_SEEDS, PRIVATE_SEEDS, PUBLIC_SEEDS


def test_people_are_repeatable_and_differ():
    assert draw_person(1000) == draw_person(1000)
    people = [draw_person(seed) for seed in PUBLIC_SEEDS[:600]]
    assert len({person.head for person in people}) == 600
    for trait in ("hair_style", "hair", "eye", "glasses", "beard", "clothes", "background"):
        assert len({getattr(person, trait) for person in people}) >= 3


def test_only_clients_have_private_features():
    for seed in (*PUBLIC_SEEDS, *HELD_OUT_SEEDS):
        person = draw_person(seed)
        assert not person.features
        assert not person.shaky
    assert all(draw_person(seed).features for seed in PRIVATE_SEEDS)


@pytest.mark.slow
def test_no_trait_is_as_magenta_as_the_mouth():
    def colours(value):
        if isinstance(value, tuple) and len(value) == 3 and all(isinstance(channel, int) for channel in value):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                yield from colours(part)

    for seed in (*PUBLIC_SEEDS, *HELD_OUT_SEEDS, *PRIVATE_SEEDS):
        for red, green, blue in colours(astuple(draw_person(seed))):
            assert min(red, blue) - green <= 6
