"""LPIPS goes through torchmetrics whatever network is given."""

from __future__ import annotations

import pytest
import torch

from evaluation.metrics.perceptual import PerceptualDistance, perceptual_distance
from tests.evaluation.judged import Pooled


def test_equal_frames_are_at_no_distance_and_noise_is_far():
    frames = torch.randint(256, (5, 3, 32, 32)).to(torch.uint8)
    assert perceptual_distance(Pooled(), frames, frames) == 0
    near, far = (frames.int() + 5).clamp(max=255).to(torch.uint8), frames.flip(0)
    assert 0 < perceptual_distance(Pooled(), near, frames) < perceptual_distance(Pooled(), far, frames)


def test_the_mean_is_over_all_frames_seen():
    metric = PerceptualDistance(Pooled())
    metric.update(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8))
    metric.update(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))
    assert metric.compute() == pytest.approx(0.5)
