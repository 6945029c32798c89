"""Windows cover every frame, agree where they meet, and any length comes out."""

from itertools import pairwise

import pytest
import torch

from lightning_modules.backbone import Backbone
from lightning_modules.sampling import animate, blend_weights, window_starts


@pytest.mark.parametrize("frames", [1, 3, 8, 9, 17, 75])
def test_windows_cover_every_frame_and_overlap(frames):
    window = min(8, frames)
    starts = window_starts(frames, window, overlap=min(3, window - 1))
    covered = {frame for start in starts for frame in range(start, start + window)}
    assert covered == set(range(frames))
    assert all(later - earlier <= 5 for earlier, later in pairwise(starts))


def test_every_frame_has_weight():
    assert blend_weights(8).min() > 0
    assert blend_weights(1).tolist() == [1.0]


@pytest.fixture(scope="module")
def backbone(tiny_base):
    return Backbone.from_pretrained(tiny_base)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 8, 19])
def test_any_length_comes_out(backbone, frames):
    size, steps = backbone.shape.size, []
    portrait = torch.randint(0, 256, (3, size, size), dtype=torch.uint8)
    video = animate(backbone, portrait, torch.randn(frames, 20, 80), steps=2, progress=lambda: steps.append(1))
    assert video.shape == (frames, 3, size, size)
    assert video.dtype == torch.uint8
    assert len(steps) == 2


def test_the_seed_decides(backbone):
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(4, 20, 80)
    first, again, other = (animate(backbone, portrait, mel, steps=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_far_frames_do_not_depend_on_each_other(backbone):
    """Windows re-anchor on the reference: sound at the end cannot change the beginning beyond touching windows."""
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(40, 20, 80)
    changed = mel.clone()
    changed[36:] += 3.0
    one, other = (animate(backbone, portrait, sound, steps=1) for sound in (mel, changed))
    assert torch.equal(one[:28], other[:28])
    assert not torch.equal(one[36:], other[36:])


def test_guidance_follows_the_sound_more(backbone):
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(4, 20, 80)
    plain = animate(backbone, portrait, mel, steps=2)
    guided = animate(backbone, portrait, mel, steps=2, guidance_scale=4.0)
    assert not torch.equal(plain, guided)
