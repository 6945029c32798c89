"""PSNR and SSIM are means over frames of known values."""

from __future__ import annotations

import math

import pytest
import torch

from evaluation.metrics.pixels import psnr, ssim


def pictures(frames: int = 3) -> torch.Tensor:
    return torch.randint(20, 200, (frames, 3, 32, 32)).to(torch.uint8)


def test_psnr_of_a_known_error_is_averaged_over_frames():
    target = pictures(2)
    frames = target.clone()
    frames[0] += 5
    frames[1] += 50
    each = [20 * math.log10(255 / error) for error in (5, 50)]
    assert psnr(frames, target) == pytest.approx(sum(each) / 2, abs=1e-3)


def test_equal_frames_score_a_finite_psnr_and_an_ssim_of_one():
    target = pictures()
    assert psnr(target, target) == 100
    assert ssim(target, target) == pytest.approx(1)
    assert ssim(pictures(), target) < 0.2


def test_frames_in_another_order_score_less():
    target = pictures()
    assert psnr(target.flip(0), target) < 60  # the middle one is where it was
    assert ssim(target.flip(0), target) < 0.5
