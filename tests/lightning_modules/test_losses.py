"""Losses against hand-made cases, and what they must not care about."""

import pytest
import torch

from lightning_modules.losses import (
    angular_margin_loss,
    identity_loss,
    reconstruction_loss,
    temporal_consistency_loss,
)


def test_consistency_ignores_an_error_that_does_not_move():
    noise = torch.randn(2, 5, 3, 4, 4)
    still = torch.randn(2, 1, 3, 4, 4)
    assert temporal_consistency_loss(noise + still, noise).item() == pytest.approx(0.0, abs=1e-6)
    assert temporal_consistency_loss(noise + torch.randn_like(noise), noise).item() > 0.5


def test_consistency_is_the_papers_mean_of_differences():
    predicted, noise = torch.randn(1, 3, 1, 1, 1), torch.randn(1, 3, 1, 1, 1)
    terms = [
        abs((predicted[0, f] - predicted[0, f - 1]) - (noise[0, f] - noise[0, f - 1])).item() for f in (1, 2)
    ]  # fmt: skip
    assert temporal_consistency_loss(predicted, noise).item() == pytest.approx(sum(terms) / 2, rel=1e-5)


def test_identity_loss_runs_from_same_to_opposite():
    one = torch.tensor([[1.0, 0.0]])
    assert identity_loss(one, one).item() == 0.0
    assert identity_loss(one, -one).item() == 1.0


def test_reconstruction_loss_sees_blurred_edges_more_than_a_shift_of_colour():
    frames = (torch.arange(8) % 2).float().expand(1, 3, 8, 8) * 2 - 1
    blurred = frames.mean(-1, keepdim=True).expand_as(frames)
    tinted = frames + 1.0
    assert reconstruction_loss(frames, frames).item() == 0.0
    assert reconstruction_loss(blurred, frames) > reconstruction_loss(tinted, frames)


def test_reconstruction_loss_sees_upright_edges_as_it_sees_level_ones():
    frames, upright = torch.zeros(1, 3, 8, 8), torch.arange(8).remainder(2).float().expand(1, 3, 8, 8)
    assert reconstruction_loss(upright, frames).item() == pytest.approx(0.5 + 0.5 + 1)
    assert reconstruction_loss(upright, frames) == reconstruction_loss(upright.mT, frames)


def test_margin_makes_the_right_person_harder():
    embedding, centres, person = torch.eye(3), torch.eye(3), torch.arange(3)
    plain = angular_margin_loss(embedding, centres, person, margin=0.0, scale=8)
    strict = angular_margin_loss(embedding, centres, person, margin=0.3, scale=8)
    assert strict > plain


def test_only_the_directions_of_the_centres_count():
    embedding, person = torch.eye(3), torch.arange(3)
    one, longer = (angular_margin_loss(embedding, size * torch.eye(3), person, margin=0.3, scale=8) for size in (1, 5))
    assert one == longer
