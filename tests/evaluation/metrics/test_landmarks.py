"""Distances of points are those of the definition, and jerk notices trembling and standing still."""

from __future__ import annotations

import math

import pytest
import torch

from evaluation.metrics.landmarks import Layout, jerk_ratio, landmark_distance
from tests.evaluation.judged import NAMES, PLACES


def moving(frames: int = 20) -> torch.Tensor:
    """Points of a head that sways smoothly."""
    sway = torch.sin(torch.arange(frames) / 3).view(-1, 1, 1)
    return PLACES + 0.02 * sway * torch.tensor([1.0, 0.5])


def test_a_layout_knows_mouth_and_eyes_by_their_names():
    layout = Layout.of(NAMES)
    assert (layout.left_eye, layout.right_eye) == ([0, 1], [2, 3])
    assert layout.mouth == [5, 6, 7, 8]
    assert layout.eye_distance(PLACES[None]).item() == pytest.approx(0.3)
    assert layout.opening(PLACES[None]).item() == pytest.approx(0.02 / 0.3)


def test_points_without_a_mouth_are_refused():
    with pytest.raises(ValueError, match="mouth"):
        Layout.of(NAMES[:5])


def test_where_a_head_is_does_not_count_but_its_shape_does():
    truth = moving()
    for shift in (0.3, 0.1 * torch.randn(len(truth), 1, 2)):  # once, and another in every frame
        assert landmark_distance(truth + shift, truth) == pytest.approx(0, abs=1e-3)
    wider = truth.clone()
    wider[:, 0, 0] -= 0.1
    # One of ten points is off by 0.1; centring moves all of them by 0.01.
    assert landmark_distance(wider, truth) == pytest.approx(256 * (0.09 + 9 * 0.01) / 10, rel=1e-4)


def test_jerk_is_relative_to_the_truths():
    truth = moving()
    assert jerk_ratio(truth, truth) == pytest.approx(1)
    assert jerk_ratio(truth[:1].expand_as(truth), truth) == 0
    assert jerk_ratio(truth + 0.01 * torch.randn_like(truth), truth) > 3
    assert math.isnan(jerk_ratio(truth[:2], truth[:2]))
