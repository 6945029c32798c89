"""The true points lie on what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.demo.face import Portrait
from datamodules.demo.opening import mouth_opening
from datamodules.demo.person import draw_person
from datamodules.demo.sketch import Pose
from evaluation.judges.landmarks import POINTS
from evaluation.judges.true_points import points_of_clip, points_of_pose, seed_of
from tests.evaluation.drawn import draw_clips

SEEDS = (1000, 1003, 1009)
POSES = (Pose(), Pose(yaw=0.4), Pose(yaw=-0.5, pitch=0.3, roll=0.3, shift=(0.08, -0.05)))
EYES = {-1: POINTS[0:2], 1: POINTS[2:4]}


def at(points: torch.Tensor, name: str) -> torch.Tensor:
    return points[POINTS.index(name)]


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_blink_changes_lies_between_the_corners_of_the_eyes(seed, pose):
    person, size = draw_person(seed), 128
    portrait = Portrait(person, size)
    changed = np.abs(portrait.render(pose).astype(int) - portrait.render(replace(pose, blink=1.0))).sum(-1) > 60
    columns = np.flatnonzero(changed.any(axis=0)) / size
    corners = points_of_pose(person, pose)[:4, 0]
    assert corners.min().item() == pytest.approx(columns.min(), abs=0.03)
    assert corners.max().item() == pytest.approx(columns.max(), abs=0.03)


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_open_mouth_is_between_its_lips(seed, pose):
    person, size, pose = draw_person(seed), 128, replace(pose, opening=1.0)
    points, picture = points_of_pose(person, pose), Portrait(person, size).render(pose).astype(int)
    upper, lower = at(points, "mouth, upper lip"), at(points, "mouth, lower lip")
    x, y = ((upper + 0.55 * (lower - upper)) * size).int().tolist()
    red, green, blue = picture[y, x]
    assert min(red, blue) - green > 30  # the interior's magenta, which is nowhere else
    x, y = ((lower + 0.3 * (lower - upper)) * size).int().tolist()
    red, green, blue = picture[y, x]
    assert min(red, blue) - green < 30


def test_the_lips_part_as_far_as_the_mouth_is_read_to_be_open():
    person, openings = draw_person(1003), np.linspace(0.2, 1, 6)
    portrait = Portrait(person)
    frames = torch.from_numpy(np.stack([portrait.render(Pose(opening=o)) for o in openings])).permute(0, 3, 1, 2)
    points = torch.stack([points_of_pose(person, Pose(opening=o)) for o in openings])
    gaps = points[:, POINTS.index("mouth, lower lip"), 1] - points[:, POINTS.index("mouth, upper lip"), 1]
    assert torch.corrcoef(torch.stack([gaps, mouth_opening(frames)]))[0, 1] > 0.99


def test_points_follow_the_pose():
    person = draw_person(1003)
    rest = points_of_pose(person, Pose())
    assert torch.allclose(points_of_pose(person, Pose(shift=(0.1, 0.05))) - rest, torch.tensor([0.05, 0.025]))
    assert at(points_of_pose(person, Pose(yaw=0.5)), "nose")[0] > at(rest, "nose")[0] + 0.02
    wide = points_of_pose(person, Pose(width=1.0))
    assert at(wide, "mouth, right corner")[0] > at(rest, "mouth, right corner")[0]
    dropped = points_of_pose(person, Pose(opening=1.0)) - rest
    assert at(dropped, "chin")[1] > 0.03
    assert at(dropped, "nose").abs().max() == 0


def test_left_is_left_and_the_chin_is_lowest():
    points = points_of_pose(draw_person(1000), Pose())
    assert points[:4, 0].tolist() == sorted(points[:4, 0].tolist())
    assert at(points, "mouth, left corner")[0] < at(points, "mouth, right corner")[0]
    assert points[:, 1].argmax() == POINTS.index("chin")


def test_a_clips_points_are_those_of_its_poses():
    clip = draw_clips(1000, clips=1, frames=30)[0]
    points = points_of_clip(clip)
    assert points.shape == (30, len(POINTS), 2)
    gaps = points[:, POINTS.index("mouth, lower lip")] - points[:, POINTS.index("mouth, upper lip")]
    assert torch.corrcoef(torch.stack([gaps.norm(dim=-1), clip.mouth]))[0, 1] > 0.98


@pytest.mark.parametrize(
    "change", [{"person": "ann"}, {"name": "talk"}, {"name": "clip_01"}, {"person": "p1001"}, {"motion": None}]
)
def test_points_of_anybody_else_are_unknown(change):
    clip = replace(draw_clips(1000, clips=1, frames=30)[0], **change)
    with pytest.raises(ValueError, match="whole clips by `make_demo_people` alone"):
        points_of_clip(clip)


@pytest.mark.parametrize(("name", "seed"), [("p1234", 1234), ("alice", 3000), ("paul", None), ("ann", None)])
def test_a_name_tells_the_seed(name, seed):
    assert seed_of(name) == seed
