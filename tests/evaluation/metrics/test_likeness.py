"""CSIM must tell the owner from others, and say nothing where there are no others."""

from __future__ import annotations

import math

import pytest

from evaluation.metrics.likeness import IS_OWNER, NEAREST_OTHER, OWNER, make_gallery, score_likeness
from tests.evaluation.drawn import draw_cases
from tests.evaluation.judged import ColourFace


@pytest.fixture(scope="module")
def cases():
    return draw_cases()


def test_everybody_is_nearest_to_their_own_reference(cases):
    gallery = make_gallery(ColourFace(), cases)
    assert list(gallery) == ["p2000", "p2001", "p2002"]
    assert all(vector.norm().item() == pytest.approx(1) for vector in gallery.values())
    assert all(score_likeness(ColourFace(), case.frames, case.person, gallery)[IS_OWNER] for case in cases)


def test_another_persons_frames_are_noticed(cases):
    gallery = make_gallery(ColourFace(), cases)
    mine = score_likeness(ColourFace(), cases[0].frames, "p2000", gallery)
    wrong = score_likeness(ColourFace(), cases[2].frames, "p2000", gallery)
    assert wrong[IS_OWNER] == 0
    assert wrong[OWNER] < mine[OWNER]
    assert wrong[NEAREST_OTHER] > wrong[OWNER]


def test_one_person_alone_can_be_taken_for_nobody_else(cases):
    alone = cases[:2]
    found = score_likeness(ColourFace(), alone[0].frames, "p2000", make_gallery(ColourFace(), alone))
    assert found[OWNER] > 0.9
    assert math.isnan(found[IS_OWNER])
