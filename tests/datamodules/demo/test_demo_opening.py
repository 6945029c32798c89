"""The mouth reader must agree with the truth on every person, in every pose, and through blur and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from datamodules.demo.face import Portrait
from datamodules.demo.opening import mouth_opening
from datamodules.demo.person import draw_person
from datamodules.demo.recording import record
from datamodules.demo.seeds import PRIVATE_SEEDS, PUBLIC_SEEDS
from datamodules.demo.sketch import Pose

SOME_SEEDS = [
    pytest.param(seed, marks=[pytest.mark.slow] * bool(number % 5))  # every fifth is among the quick tests
    for number, seed in enumerate([*PUBLIC_SEEDS[:12], *PRIVATE_SEEDS])
]


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(np.corrcoef(first.numpy(), second.numpy())[0, 1])


def soften(frames: torch.Tensor) -> torch.Tensor:
    """Blurs and disturbs frames about as much as a small VAE does; floating point in [0, 1]."""
    noise = np.random.default_rng(0).normal(0, 6, frames.shape)
    blurred = gaussian_filter(frames.numpy().astype(np.float32), (0, 0, 0.9, 0.9))
    return torch.from_numpy((blurred + noise).clip(0, 255) / 255)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SOME_SEEDS)
def test_reading_follows_the_true_opening(recorded, seed):
    clip = recorded(seed)
    assert correlation(mouth_opening(clip.frames), clip.mouth) >= 0.95
    assert correlation(mouth_opening(soften(clip.frames)), clip.mouth) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("turn", [{}, {"yaw": 0.7}, {"yaw": -0.7}, {"pitch": 0.4}, {"pitch": -0.4}, {"roll": 0.4}])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.2, 0.18), (-0.2, -0.18)])
def test_reading_follows_the_opening_in_every_pose(turn, shift):
    openings = torch.linspace(0, 1, 8)
    portrait = Portrait(draw_person(1003))
    drawn = [portrait.render(Pose(**turn, shift=shift, opening=float(opening))) for opening in openings]
    frames = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)
    assert correlation(mouth_opening(frames), openings) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", PUBLIC_SEEDS[:300:10])
def test_hardly_anything_but_the_mouth_is_read(seed):
    portrait = Portrait(draw_person(seed))
    closed = torch.from_numpy(np.stack([portrait.render(Pose(yaw=yaw)) for yaw in (-0.5, 0.0, 0.5)]))
    # Blue cloth against red skin mixes to a little magenta at the edge; a wide open mouth reads 0.12.
    assert mouth_opening(closed.permute(0, 3, 1, 2)).max() < 0.008


@pytest.mark.slow
def test_reading_is_the_same_for_bytes_fractions_and_sizes():
    clip = record(draw_person(1001), 0, frames=30)
    large = record(draw_person(1001), 0, size=128, frames=30)
    torch.testing.assert_close(mouth_opening(clip.frames), mouth_opening(clip.frames / 255))
    assert (mouth_opening(large.frames) - mouth_opening(clip.frames)).abs().max() < 0.015


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(frames, 3, height, width\)"):
        mouth_opening(torch.zeros(3, 64, 64))
