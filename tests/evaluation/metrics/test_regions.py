"""The mouth's box must hold the mouth in every pose, and aligning a head must not let the mouth choose."""

from __future__ import annotations

import pytest
import torch

from datamodules.demo.person import draw_person
from datamodules.demo.recording import record
from datamodules.demo.seeds import HELD_OUT_SEEDS
from evaluation.clip_scores import mouth_region
from evaluation.metrics.pixels import psnr
from evaluation.metrics.regions import EYES, MOUTH, aligned_mouth_psnr, lower_centre


@pytest.fixture(scope="module")
def clips():
    return [record(draw_person(seed), 0, frames=40) for seed in HELD_OUT_SEEDS[:6]]


def magenta(frames: torch.Tensor) -> torch.Tensor:
    """Return where the open mouth is, (frames, height, width)."""
    red, green, blue = frames.int().unbind(1)
    return torch.minimum(red, blue) - green > 20


@pytest.mark.slow
def test_the_box_holds_the_open_mouth(clips):
    inside, everywhere = 0, 0
    for clip in clips:
        height, width = MOUTH.pixels(64)
        for mouth, (top, left) in zip(magenta(clip.frames), MOUTH.corners(clip.motion, 64), strict=True):
            inside += int(mouth[top : top + height, left : left + width].sum())
            everywhere += int(mouth[24:].sum())
    assert everywhere > 1000
    assert inside / everywhere > 0.98


def test_the_box_is_small_and_moves_with_the_head():
    height, width = MOUTH.pixels(64)
    assert height * width < 0.1 * 64 * 64
    still, moved = torch.zeros(1, 6), torch.tensor([[0.0, 0.0, 0.0, 0.125, -0.0625, 0.0]])
    (top, left), (moved_top, moved_left) = MOUTH.corners(still, 64)[0], MOUTH.corners(moved, 64)[0]
    assert (moved_top - top, moved_left - left) == (-2, 4)


def test_boxes_stay_in_the_frame():
    far = torch.tensor([[0.0, 0.0, 0.0, 5.0, 5.0, 0.0], [0.0, 0.0, 0.0, -5.0, -5.0, 0.0]])
    for region in (MOUTH, EYES):
        height, width = region.pixels(64)
        assert region.corners(far, 64) == [(64 - height, 64 - width), (0, 0)]


@pytest.mark.slow
def test_a_head_elsewhere_scores_by_its_mouth_once_it_is_aligned(clips):
    clip = clips[1]
    elsewhere = clip.frames.roll((3, -4), dims=(2, 3))
    assert psnr(*(mouth_region(some, clip.motion) for some in (elsewhere, clip.frames))) < 25
    assert aligned_mouth_psnr(elsewhere, clip.frames, clip.motion) > 90


def test_aligning_does_not_mend_a_mouth_that_is_elsewhere():
    """All below the eyes' box lies three pixels off: to align by the mouth would undo that."""
    frames, still = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8), torch.zeros(2, 6)
    below = EYES.corners(still, 64)[0][0] + EYES.pixels(64)[0]
    moved = frames.clone()
    moved[:, :, below:] = frames[:, :, below:].roll(3, dims=3)
    unaligned = psnr(*(mouth_region(some, still) for some in (moved, frames)))
    assert aligned_mouth_psnr(moved, frames, still) == unaligned < 10


def test_lower_centre_is_cut_by_the_frames_own_size():
    assert lower_centre(torch.zeros(2, 3, 100, 200)).shape == (2, 3, 28, 88)
