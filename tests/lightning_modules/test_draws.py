"""What chance decides of a batch, and that batches with their draws can be joined."""

from __future__ import annotations

import torch

from lightning_modules.draws import IDENTITY_LOSS_BELOW, join_batches, with_draws


def make_batch(clips: int, has_motion: float = 1.0) -> dict[str, torch.Tensor]:
    return {"latents": torch.randn(clips, 3, 4, 2, 2), "has_motion": torch.full((clips,), has_motion)}


def test_positions_follow_from_the_draws():
    batch = with_draws(make_batch(200))
    assert batch["eps"].shape == batch["latents"].shape
    assert batch["shown"][batch["posed_rows"]].all()
    assert 150 < len(batch["posed_rows"]) == batch["shown"].sum() < 200, "the motion is hidden now and then"
    assert (batch["timestep"][batch["visible_rows"]] < IDENTITY_LOSS_BELOW).all()
    assert len(batch["visible_rows"]) == (batch["timestep"] < IDENTITY_LOSS_BELOW).sum() > 0


def test_motion_that_nobody_knows_is_never_shown():
    batch = with_draws(make_batch(20, has_motion=0.0))
    assert not batch["shown"].any()
    assert len(batch["posed_rows"]) == 0


def test_draws_follow_from_the_seed():
    batch = make_batch(4)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(with_draws(batch))
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_joined_batches_keep_their_positions():
    batches = [with_draws(make_batch(clips)) for clips in (30, 10, 20)]
    joint = join_batches(batches)
    assert torch.equal(joint["latents"], torch.cat([batch["latents"] for batch in batches]))
    for name, chosen in (("posed_rows", joint["shown"] > 0), ("visible_rows", joint["timestep"] < IDENTITY_LOSS_BELOW)):
        assert joint[name].tolist() == chosen.nonzero().flatten().tolist()
