"""A reference is laid onto a pose as the demo people's heads really turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from datamodules.demo.person import draw_person
from datamodules.demo.recording import record
from datamodules.demo.seeds import PUBLIC_SEEDS
from datamodules.demo.sketch import Pose, Sketch
from lightning_modules.head_motion import HEAD_SIZE, face_surface, find_sources, lay_on, project, unproject

POSES = [(0.0, 0, 0, 0, 0, 0), (0.6, 0, 0, 0, 0, 0), (0, -0.4, 0, 0, 0, 0), (0.3, 0.2, -0.4, 0.08, -0.06, 0)]
FEATURES = [[0.0, 0.0], [0.2, -0.12], [-0.2, -0.12], [0.0, 0.33], [-0.18, 0.3]]


@pytest.mark.parametrize("pose", POSES)
def test_features_are_where_the_demo_people_have_them(pose):
    yaw, pitch, roll, x, y, _ = pose
    person = replace(draw_person(PUBLIC_SEEDS[0]), head=HEAD_SIZE)
    drawn = Sketch(Image.new("RGB", (1, 1)), person, Pose(yaw, pitch, roll, (x, y))).on_face(np.array(FEATURES))
    ours = project(torch.tensor(FEATURES), torch.tensor(pose))
    torch.testing.assert_close(ours, torch.from_numpy(drawn).float(), atol=0.01, rtol=0)  # a third of a pixel of 64
    if any(pose):
        assert (project(torch.tensor(FEATURES), torch.zeros(6)) - ours).abs().max() > 0.05


@pytest.mark.parametrize("pose", POSES)
def test_unproject_undoes_project(pose):
    pose = torch.tensor(pose)
    torch.testing.assert_close(
        unproject(project(torch.tensor(FEATURES), pose), pose), torch.tensor(FEATURES), atol=2e-3, rtol=0
    )


def test_the_same_pose_changes_nothing():
    picture, pose = torch.rand(2, 3, 16, 16), 0.3 * torch.rand(2, 6)
    moved = lay_on(picture, pose, pose.unsqueeze(1).repeat(1, 4, 1))
    same = (moved - picture.unsqueeze(1)).abs() < 0.02
    assert same.float().mean() > 0.99  # at its rim a turned head hides a little of itself
    other = lay_on(picture, pose + 0.2, pose.unsqueeze(1))
    assert ((other - picture.unsqueeze(1)).abs() < 0.02).float().mean() < 0.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_places_are_exact_whatever_a_model_is_stored_in(dtype):
    own, motion = 0.2 * torch.randn(1, 6).to(dtype), 0.4 * torch.randn(1, 3, 6).to(dtype)
    assert torch.equal(find_sources(own, motion, 64, 64), find_sources(own.float(), motion.float(), 64, 64))
    assert torch.equal(face_surface(motion, 64, 64), face_surface(motion.float(), 64, 64))
    picture = torch.rand(1, 3, 64, 64).to(dtype)
    moved = lay_on(picture, own, motion)
    assert moved.dtype == dtype
    torch.testing.assert_close(moved, lay_on(picture.float(), own.float(), motion.float()).to(dtype))


def test_a_shift_carries_the_face_along_and_leaves_the_corners():
    picture = torch.zeros(1, 1, 64, 64)
    picture[..., 30, 32] = 1
    picture[..., 0, 0] = 1
    moved = lay_on(picture, torch.zeros(1, 6), torch.tensor([[[0, 0, 0, 4 / 32, 2 / 32, 0.0]]]))[0, 0, 0]
    torch.testing.assert_close(moved[32, 36], torch.tensor(1.0), atol=1e-3, rtol=0)
    assert moved[30, 32] == 0
    torch.testing.assert_close(moved[0, 0], torch.tensor(1.0), atol=1e-3, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", PUBLIC_SEEDS[:3])
def test_it_is_nearer_to_the_truth_than_a_copy_and_than_the_wrong_pose(seed):
    one, other = (record(draw_person(seed), clip, size=64, frames=25) for clip in (0, 1))
    reference = other.frames[:1].float() / 255

    def score(own, motion):
        return peak_signal_noise_ratio(lay_on(reference, own, motion[None])[0], one.frames / 255, data_range=1.0)

    right = score(other.motion[:1], one.motion)
    copy = peak_signal_noise_ratio(reference.expand_as(one.frames), one.frames / 255, data_range=1.0)
    assert right > copy + 1
    assert right > score(other.motion[:1], -one.motion) + 1


def test_the_surface_tells_the_face_from_what_is_around():
    surface = face_surface(torch.zeros(1, 1, 6), 64, 64)[0, 0]
    assert surface.shape == (3, 64, 64)
    assert surface[2, 30, 32] > 0.9  # between the eyes
    assert surface[2, 0, 0] < 0
    assert surface[0, 30, 10] < 0 < surface[0, 30, 54]
    assert surface[1, 10, 32] < 0 < surface[1, 50, 32]
