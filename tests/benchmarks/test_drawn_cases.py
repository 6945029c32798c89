"""Cases of people who were drawn, and pairs of a case with another person's sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.drawn_cases import make_cases, shuffled_pairs
from tests.evaluation.drawn import draw_cases, draw_clips


@pytest.fixture(scope="module")
def cases():
    return draw_cases()


def test_people_whose_motion_nobody_knows_make_no_demo_case():
    clip = replace(draw_clips(2000, 1)[0], motion=None, mouth=None)
    with pytest.raises(ValueError, match="demo person"):
        make_cases({"p2000": [clip, clip]}, 11)


def test_shuffled_sound_is_always_another_persons_and_pairs_differ(cases):
    pairs = list(shuffled_pairs(cases, 18))
    assert all(case.person != sound.person for case, sound in pairs)
    assert len({(id(case), id(sound)) for case, sound in pairs}) == 18
    assert [id(case) for case, _ in pairs[:6]] == [id(case) for case in cases]


@pytest.mark.parametrize("count", [0, 19])
def test_more_pairs_than_there_are_are_refused(cases, count):
    with pytest.raises(ValueError, match="1 to 18"):
        list(shuffled_pairs(cases, count))
