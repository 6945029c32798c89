"""Faces are drawn where the pose says, at any size, and every part of the pose can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.demo.face import Portrait
from datamodules.demo.person import draw_person
from datamodules.demo.seeds import PRIVATE_SEEDS
from datamodules.demo.sketch import Pose


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"yaw": 0.3},
        {"pitch": 0.3},
        {"roll": 0.3},
        {"shift": (0.1, 0.0)},
        {"blink": 1.0},
        {"opening": 0.5},
        {"width": 1.0},
    ],
)
@pytest.mark.parametrize("seed", [1000, 1001, *PRIVATE_SEEDS])
def test_every_part_of_the_pose_is_visible(seed, change):
    portrait = Portrait(draw_person(seed))
    assert difference(portrait.render(Pose(**change)), portrait.render(Pose())) > 0.15


def test_features_slide_over_the_turning_head():
    # Turning is no plain shift: no translation of the resting face explains the turned one.
    portrait = Portrait(draw_person(1009))
    rest, turned = portrait.render(Pose()), portrait.render(Pose(yaw=0.6))
    shifted = [np.roll(rest, step, axis=1) for step in range(-6, 7)]
    assert min(difference(turned, picture) for picture in shifted) > 4


def test_shift_moves_the_head_by_fractions_of_half_the_frame():
    portrait = Portrait(draw_person(1009))
    rest, moved = portrait.render(Pose()), portrait.render(Pose(shift=(0.125, 0.0)))
    face = (slice(16, 44), slice(24, 40))
    moved_face = (slice(16, 44), slice(28, 44))
    assert difference(rest[face], moved[moved_face]) < 1


@pytest.mark.parametrize("size", [64, 96, 128])
def test_sizes_show_the_same_picture(size):
    small = Portrait(draw_person(1002)).render(Pose(opening=0.6))
    picture = Portrait(draw_person(1002), size).render(Pose(opening=0.6))
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert abs(float(picture.mean()) - float(small.mean())) < 2


def test_too_small_pictures_are_refused():
    with pytest.raises(ValueError, match="at least 64 pixels"):
        Portrait(draw_person(1000), 48)
