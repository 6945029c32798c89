"""Points go where their pictures go, and what makes pictures worse leaves the rest of them."""

from __future__ import annotations

import torch

from evaluation.judges.augmentation import degrade, move, soften
from evaluation.judges.landmarks import centres_of_mass


def dots(points: torch.Tensor, size: int = 64) -> torch.Tensor:
    """Return a picture per point, (batch, 1, size, size), with a soft bright dot there."""
    places = (torch.arange(size) + 0.5) / size
    x, y = ((places - point).square() for point in (points[:, 0, None], points[:, 1, None]))
    return torch.exp(-(x[:, None, :] + y[:, :, None]) / 0.002)[:, None]


def test_a_point_goes_where_its_dot_goes():
    points = 0.3 + 0.4 * torch.rand(32, 1, 2)
    moved = move(dots(points[:, 0]))
    carried = moved.carry(points)
    seen = centres_of_mass(20 * moved.pictures)
    assert (64 * (carried - seen)).abs().max() < 0.3
    assert (64 * (carried - points)).norm(dim=-1).max() > 3


def test_moves_differ_from_picture_to_picture():
    moved = move(dots(torch.full((4, 2), 0.5)))
    assert moved.pictures.flatten(1).unique(dim=0).shape[0] == 4


def test_softening_keeps_the_mean_and_takes_the_edges():
    picture = torch.randn(2, 15, 32, 32)
    soft = soften(picture)
    assert soft.std() < 0.5 * picture.std()
    assert torch.allclose(soften(torch.full((1, 3, 8, 8), 0.3)), torch.tensor(0.3))


def test_worse_pictures_are_still_the_same_pictures():
    pictures = soften(soften(torch.randn(64, 3, 32, 32).clamp(-1, 1)))
    worse = degrade(pictures)
    assert worse.shape == pictures.shape
    assert not torch.equal(worse, pictures)
    pairs = torch.stack([pictures.flatten(1), worse.flatten(1)], dim=1)
    assert min(torch.corrcoef(pair)[0, 1] for pair in pairs) > 0.6


def test_frames_of_any_size_can_be_made_worse():
    assert degrade(torch.randn(1, 15, 33, 47)).shape == (1, 15, 33, 47)
