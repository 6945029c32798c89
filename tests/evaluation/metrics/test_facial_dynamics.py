"""ADFD: the truth scores 1, and a fault in shape, time or sound lowers the part that should notice it."""

from __future__ import annotations

import math

import pytest
import torch

from evaluation.metrics.facial_dynamics import LEAST_CORRELATION, MAX_LAG, adfd
from evaluation.metrics.landmarks import Layout
from evaluation.metrics.tracks import best_lag
from tests.evaluation.judged import NAMES, PLACES

LAYOUT = Layout.of(NAMES)


def speaking(sound: torch.Tensor) -> torch.Tensor:
    """Points of a face whose lower lip follows a sound while the head sways."""
    points = PLACES.repeat(len(sound), 1, 1)
    points[:, NAMES.index("mouth, lower lip"), 1] += 0.06 * sound
    return points + 0.03 * torch.sin(torch.arange(len(sound)) / 7).view(-1, 1, 1)


@pytest.fixture
def sound():
    return torch.rand(40)


def test_the_truth_scores_one(sound):
    found = adfd(speaking(sound), speaking(sound), sound, LAYOUT)
    assert found.value == pytest.approx(1, abs=1e-6)
    assert found.lag == 0


def test_where_the_head_points_does_not_count(sound):
    truth = speaking(sound)
    turned = truth @ torch.tensor([[0.9553, 0.2955], [-0.2955, 0.9553]]) * 0.8 + 0.1
    assert adfd(turned, truth, sound, LAYOUT).value == pytest.approx(1, abs=1e-3)


def test_a_still_picture_scores_nothing(sound):
    truth = speaking(sound)
    found = adfd(truth[:1].expand_as(truth), truth, sound, LAYOUT)
    assert (found.temporal, found.audio, found.value) == (pytest.approx(0.5, abs=1e-6), 0, 0)


def test_another_sound_is_noticed_by_the_part_of_sound(sound):
    other = adfd(speaking(torch.rand(40)), speaking(sound), sound, LAYOUT)
    assert other.audio < 0.6
    assert other.spatial > 0.5


def test_a_recording_that_does_not_follow_its_sound_is_no_measure_of_others():
    truth, other = speaking(torch.rand(4000)), torch.rand(4000)
    by_chance = best_lag(other, LAYOUT.opening(truth), MAX_LAG).r
    assert 0 < by_chance < LEAST_CORRELATION / 2
    assert adfd(truth, truth, other, LAYOUT).audio == pytest.approx(by_chance / LEAST_CORRELATION)


def test_reversed_time_is_noticed_by_the_part_of_movement(sound):
    found = adfd(speaking(sound).flip(0), speaking(sound), sound, LAYOUT)
    assert found.temporal < 0.75


def test_how_the_mouth_moves_counts_more_than_how_an_eye_does(sound):
    truth, trembling = speaking(sound), 0.03 * torch.randn(40, 2)

    def spoil(name: str) -> float:
        points = truth.clone()
        points[:, NAMES.index(name)] += trembling
        return adfd(points, truth, sound, LAYOUT).temporal

    assert spoil("mouth, left corner") < spoil("left eye, outer corner") - 0.05


def test_another_face_is_noticed_by_the_part_of_shape(sound):
    wide = speaking(sound)
    wide[:, :2, 0] -= 0.1
    found = adfd(wide, speaking(sound), sound, LAYOUT)
    assert found.spatial < 0.6
    assert found.temporal > 0.9


def test_a_mouth_that_comes_late_is_told_by_its_lag(sound):
    assert adfd(speaking(sound.roll(2)), speaking(sound), sound, LAYOUT).lag == 2


def test_where_the_sound_does_not_change_nobody_can_follow_it(sound):
    """Silence made a still picture score .617, as `min(1.0, nan)` is 1."""
    truth = speaking(sound)
    for silence in (torch.zeros(40), torch.full((40,), 0.3)):
        found = adfd(truth[:1].expand_as(truth), truth, silence, LAYOUT)
        assert all(map(math.isnan, (found.audio, found.lag, found.value)))
        assert found.temporal == pytest.approx(0.5, abs=1e-6)
