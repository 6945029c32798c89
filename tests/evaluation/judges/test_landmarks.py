"""Points are read off heat maps."""

from __future__ import annotations

import pytest
import torch

from evaluation.judges.landmarks import POINTS, centres_of_mass
from evaluation.metrics.landmarks import Layout


def test_a_sharp_map_is_read_at_its_pixels_middle():
    maps = torch.zeros(1, 2, 32, 32)
    maps[0, 0, 3, 10], maps[0, 1, 31, 0] = 100, 100
    points = centres_of_mass(maps)
    assert torch.allclose(points[0], torch.tensor([[10.5, 3.5], [0.5, 31.5]]) / 32, atol=1e-5)


def test_two_peaks_are_read_between_them():
    maps = torch.zeros(1, 1, 32, 32)
    maps[0, 0, 8, 10], maps[0, 0, 8, 11] = 100, 100
    assert torch.allclose(centres_of_mass(maps)[0, 0], torch.tensor([11, 8.5]) / 32, atol=1e-5)


@pytest.mark.parametrize("size", [64, 96])
def test_points_are_fractions_of_frames_of_any_size(untrained, size):
    points = untrained["landmarks"].locate(torch.randint(256, (3, 3, size, size), dtype=torch.uint8))
    assert points.shape == (3, len(POINTS), 2)
    assert 0 <= points.min() <= points.max() <= 1


def test_the_metrics_find_the_parts_of_the_face_by_these_names():
    layout = Layout.of(POINTS)
    assert (layout.left_eye, layout.right_eye) == ([0, 1], [2, 3])
    assert layout.mouth == [5, 6, 7, 8]
    assert (layout.upper_lip, layout.lower_lip) == (7, 8)
