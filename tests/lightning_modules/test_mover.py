"""What moves a reference starts from the ellipsoid, learns how a head really turns, and follows the motion given."""

from __future__ import annotations

import pytest
import torch
from torch.optim import AdamW
from torchmetrics.functional.image import peak_signal_noise_ratio

from datamodules.demo.person import draw_person
from datamodules.demo.recording import record
from datamodules.demo.seeds import PUBLIC_SEEDS
from lightning_modules.head_motion import lay_on
from lightning_modules.mover import HeadMover


def test_untrained_it_moves_like_the_ellipsoid():
    reference, own, motion = torch.rand(2, 3, 16, 16) * 2 - 1, 0.2 * torch.randn(2, 6), 0.3 * torch.randn(2, 4, 6)
    moved = HeadMover((8, 8)).eval()(reference, own, motion)
    torch.testing.assert_close(moved, lay_on(reference, own, motion), atol=1e-5, rtol=0)


def test_every_frame_is_moved_by_its_own_reference_and_motion():
    mover, motion = HeadMover((8, 8)), 0.3 * torch.randn(2, 3, 6)
    torch.nn.init.normal_(mover.answer.weight, std=0.1)
    reference, own = torch.rand(2, 3, 16, 16), 0.2 * torch.randn(2, 6)
    together = mover(reference, own, motion)
    alone = mover(reference[1:], own[1:], motion[1:, 2:])
    torch.testing.assert_close(together[1:, 2:], alone, atol=1e-5, rtol=0)
    each = [torch.stack([one[0], one[1], one[1]]).unsqueeze(0) for one in (reference, own)]
    moved = mover(*each, torch.stack([motion[0, 1], motion[1, 0], motion[1, 2]]).unsqueeze(0))
    expected = torch.stack([together[0, 1], together[1, 0], together[1, 2]]).unsqueeze(0)
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)
    assert (together - lay_on(reference, own, motion)).abs().max() > 0.01


def test_weights_of_16_bit_are_given_what_they_can_read():
    mover, motion = HeadMover((8, 8)), 0.3 * torch.randn(1, 2, 6)
    torch.nn.init.normal_(mover.answer.weight, std=0.1)
    reference, own = torch.rand(1, 3, 16, 16), 0.2 * torch.randn(1, 6)
    whole = mover(reference, own, motion)
    half = mover.to(torch.bfloat16)(reference, own, motion)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, whole, atol=0.1, rtol=0)


def test_a_reference_of_16_bit_is_moved_to_exact_places():
    reference, own, motion = torch.rand(1, 3, 64, 64), 0.2 * torch.randn(1, 6), 0.4 * torch.randn(1, 2, 6)
    half = HeadMover((8, 8)).to(torch.bfloat16)(reference.to(torch.bfloat16), own, motion)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), lay_on(reference, own, motion), atol=0.02, rtol=0)


@pytest.mark.slow
def test_it_learns_how_a_head_turns_that_is_no_ellipsoid():
    """Shoulders, ears, lids: after fifty steps it is nearer to another clip of the person than the ellipsoid."""
    one, other, third = (record(draw_person(PUBLIC_SEEDS[0]), clip, size=64, frames=20) for clip in (0, 1, 2))
    shown, frames, unseen = (clip.frames.float() / 127.5 - 1 for clip in (other, one, third))
    mover = HeadMover((8, 16))
    optimizer = AdamW(mover.parameters(), lr=5e-3)
    for _ in range(50):
        chosen, at = torch.randint(20, (4,)), torch.randint(20, (4,))
        moved = mover(shown[chosen], other.motion[chosen], one.motion[at].unsqueeze(1)).squeeze(1)
        (moved - frames[at]).abs().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    arguments = shown[:1], other.motion[:1], third.motion[None]
    with torch.no_grad():
        learned, rough = (
            peak_signal_noise_ratio(move(*arguments)[0], unseen, data_range=2.0) for move in (mover, lay_on)
        )
    print(learned, rough)
    assert learned > rough + 0.5
