"""Drawn head motion is smooth, stays within reach, begins at the portrait's pose, and blinks now and then."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lightning_modules.base_folder import load_base
from lightning_modules.natural_motion import FURTHEST, choose_motion, move_naturally

OWN = torch.tensor([0.2, -0.1, 0.05, 0.02, 0.0, 1.0])


@pytest.mark.parametrize("frames", [1, 7, 25, 500])
def test_it_begins_at_the_portraits_own_pose(frames):
    motion = move_naturally(OWN, frames, seed=0)
    assert motion.shape == (frames, 6)
    torch.testing.assert_close(motion[0, :5], OWN[:5])
    assert motion[0, 5] == 0  # eyes open, even where the portrait's are shut


def test_it_moves_smoothly_and_never_too_far():
    motion = move_naturally(OWN, 2000, seed=1)
    assert (motion[:, :5].abs().amax(0) <= torch.tensor(FURTHEST) + 1e-6).all()
    assert motion[:, 0].std() > 0.1
    assert motion[:, :5].diff(dim=0).abs().max() < 0.05  # 1.5 degrees a frame


def test_it_blinks_every_few_seconds():
    lids = move_naturally(OWN, 25 * 60, seed=2)[:, 5]
    assert lids.min() == 0
    assert lids.max() == 1
    assert 12 <= ((lids[1:] > 0.4) & (lids[:-1] <= 0.4)).sum() <= 30


def test_the_seed_decides():
    assert torch.equal(move_naturally(OWN, 50, seed=3), move_naturally(OWN, 50, seed=3))
    assert not torch.equal(move_naturally(OWN, 50, seed=3), move_naturally(OWN, 50, seed=4))


@pytest.fixture
def backbone(tiny_base):
    backbone = load_base(tiny_base)
    torch.nn.init.zeros_(backbone.pose.project.weight)  # random weights would see a head turned all the way
    return backbone


PORTRAIT = torch.randint(256, (3, 64, 64), dtype=torch.uint8)


def test_a_base_that_knows_no_motion_is_left_alone(backbone):
    assert choose_motion(backbone, PORTRAIT, 10, "auto", seed=0) is None
    for kind in ("natural", "still"):
        with pytest.raises(ValueError, match="use free"):
            choose_motion(backbone, PORTRAIT, 10, kind, seed=0)


def test_a_base_that_does_is_given_what_was_asked_for(backbone):
    backbone.shape = replace(backbone.shape, knows_motion=True)
    chosen = {
        kind: choose_motion(backbone, PORTRAIT, 200, kind, seed=0) for kind in ("auto", "natural", "still", "free")
    }
    assert chosen["free"] is None
    assert torch.equal(chosen["auto"], chosen["natural"])
    assert chosen["still"].std(dim=0).max() == 0 < chosen["natural"].std(dim=0).min()
