"""Any length comes out, all of it the same however much is denoised at once."""

import math
from types import SimpleNamespace

import pytest
import torch

from lightning_modules import sampling
from lightning_modules.base_folder import load_base
from lightning_modules.copying import CopySpread
from lightning_modules.denoised import decode_stream
from lightning_modules.reference import Conditions
from lightning_modules.sampling import TEMPERATURE, SamplingOptions, _predict, animate, draw_noise, stream_denoised
from lightning_modules.windowing import group_windows, window_starts


@pytest.fixture(scope="module")
def backbone(tiny_base):
    return load_base(tiny_base)


def latents_of(backbone, portrait, mel, motion=None, **options):
    """Return the latents of a whole clip (frames, C, h, w), for some of `SamplingOptions`."""
    denoised = stream_denoised(backbone, portrait, mel, SamplingOptions(**options), motion=motion)
    return torch.cat([piece.latents for piece in denoised])


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 8, 19])
def test_any_length_comes_out(backbone, frames):
    size, steps = backbone.shape.size, []
    portrait = torch.randint(0, 256, (3, size, size), dtype=torch.uint8)
    mel, options = torch.randn(frames, 20, 80), SamplingOptions(steps=2)
    stream = stream_denoised(backbone, portrait, mel, options, progress=steps.append)
    video = torch.cat(list(decode_stream(backbone, stream)))
    assert video.shape == (frames, 3, size, size)
    assert video.dtype == torch.uint8
    assert sum(steps) == 2 * frames


def test_the_seed_decides(backbone):
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(4, 20, 80)
    first, again, other = (animate(backbone, portrait, mel, SamplingOptions(steps=2, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_less_is_left_to_chance_where_a_base_starts_from_a_copy(tiny_base):
    backbone = load_base(tiny_base)
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(4, 20, 80)

    def spread(**options) -> float:
        """Return how far two seeds' latents are apart."""
        one, other = (latents_of(backbone, portrait, mel, seed=seed, **options) for seed in (1, 2))
        return (one - other).abs().mean().item()

    assert spread(temperature=0.0) == 0.0
    assert spread(temperature=0.3) < 0.8 * spread(temperature=1.0)
    assert spread() == spread(temperature=1.0), "others would blur"
    backbone.spread = CopySpread(backbone.vae.config.latent_channels, 16)
    assert spread() == spread(temperature=TEMPERATURE) != spread(temperature=1.0)


@pytest.mark.slow
def test_windows_denoised_together_do_not_change_the_frames(backbone):
    """Batches may be summed in another order, so this holds up to rounding."""
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel, motion = torch.randn(30, 20, 80), 0.2 * torch.randn(30, 6)
    few, many = (latents_of(backbone, portrait, mel, motion=motion, steps=3, batch=batch) for batch in (1, 8))
    torch.testing.assert_close(few, many, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_no_more_windows_are_denoised_at_once_than_attention_takes(backbone, monkeypatch):
    portrait = torch.zeros(3, backbone.shape.size, backbone.shape.size, dtype=torch.uint8)
    places = backbone.encode_reference(portrait).latents[0, 0].numel()
    monkeypatch.setattr(sampling, "MOST_SEQUENCES", 2 * places + 1)
    taken: list[int] = []
    options = SamplingOptions(steps=1, batch=8)
    for _ in stream_denoised(backbone, portrait, torch.randn(40, 20, 80), options, progress=taken.append):
        pass
    windows = len(window_starts(40, backbone.shape.window, sampling.OVERLAP))
    assert len(taken) == math.ceil(windows / 2) > 2


@pytest.mark.parametrize("frame", [(4, 16, 16), (4, 5, 5)])
def test_noise_in_pieces_is_the_noise_drawn_at_once(frame):
    groups = group_windows(100, window=8, overlap=3, batch=2)
    pieces = list(draw_noise(groups, torch.zeros(1, *frame), seed=3))
    assert len(pieces) == (len(groups) if frame == (4, 16, 16) else 1)
    assert torch.equal(torch.cat(pieces), torch.randn(100, *frame, generator=torch.Generator().manual_seed(3)))


@pytest.mark.slow
def test_the_first_frames_come_before_the_last_are_begun(backbone):
    """What is at work at once is a few groups, however long the clip."""
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    taken: list[int] = []
    mel, options = torch.randn(500, 20, 80), SamplingOptions(steps=2, batch=1)
    stream = stream_denoised(backbone, portrait, mel, options, progress=taken.append)
    next(decode_stream(backbone, stream))
    assert sum(taken) < 2 * 50


@pytest.mark.slow
def test_frames_come_with_the_reference_moved_onto_their_own_motion(tiny_base):
    backbone = load_base(tiny_base).requires_grad_(False)
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel, motion = torch.randn(30, 20, 80), 0.2 * torch.randn(30, 6)
    pieces = list(stream_denoised(backbone, portrait, mel, SamplingOptions(steps=1, batch=2), motion=motion))
    assert len(pieces) > 2
    moved = backbone.move(backbone.encode_reference(portrait), motion[None])[0]
    torch.testing.assert_close(torch.cat([piece.moved.frames for piece in pieces]), moved)
    torch.testing.assert_close(torch.cat([piece.moved.latents for piece in pieces]), backbone.encode(moved))


@pytest.mark.slow
def test_head_motion_is_not_rounded_in_16_bit(tiny_base, monkeypatch):
    backbone, given = load_base(tiny_base).to(torch.bfloat16), []
    move = backbone.move
    monkeypatch.setattr(backbone, "move", lambda *how: given.append(how) or move(*how))
    portrait, motion = torch.randint(256, (3, 64, 64), dtype=torch.uint8), 0.3 * torch.randn(4, 6)
    pieces = stream_denoised(backbone, portrait, torch.randn(4, 20, 80), SamplingOptions(steps=1), motion=motion)
    assert {piece.latents.dtype for piece in pieces} == {torch.bfloat16}
    ((reference, shown),) = given
    assert torch.equal(shown[0], motion)
    assert reference.motion.dtype == torch.float32


@pytest.mark.slow
def test_without_known_motion_or_a_mover_frames_come_without_one(tiny_base):
    backbone = load_base(tiny_base)
    portrait, mel = torch.zeros(3, backbone.shape.size, backbone.shape.size, dtype=torch.uint8), torch.randn(3, 20, 80)
    options = SamplingOptions(steps=1)
    assert next(stream_denoised(backbone, portrait, mel, options)).moved is None
    backbone.mover = None
    assert next(stream_denoised(backbone, portrait, mel, options, motion=torch.zeros(3, 6))).moved is None


@pytest.mark.slow
def test_far_frames_do_not_depend_on_each_other(backbone):
    """Windows re-anchor on the reference: sound at the end cannot change the beginning beyond touching windows."""
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(40, 20, 80)
    changed = mel.clone()
    changed[36:] += 3.0
    one, other = (animate(backbone, portrait, sound, SamplingOptions(steps=1)) for sound in (mel, changed))
    assert torch.equal(one[:28], other[:28])
    assert not torch.equal(one[36:], other[36:])


def test_guidance_follows_the_sound_more(backbone):
    portrait = torch.randint(0, 256, (3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8)
    mel = torch.randn(4, 20, 80)
    plain = animate(backbone, portrait, mel, SamplingOptions(steps=2))
    guided = animate(backbone, portrait, mel, SamplingOptions(steps=2, guidance_scale=4.0))
    assert not torch.equal(plain, guided)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_guidance_counts_what_the_sound_adds_so_many_times_and_all_else_once(scale):
    def predict(z_t, _, conditions):
        return z_t + sum(stream.sum() for stream in conditions.streams)

    z_t = torch.zeros(1, 2, 1, 1, 1)
    who, sound, moves = (torch.tensor([value]) for value in (1.0, 10.0, 100.0))
    conditions = Conditions([who, sound, moves], extra_channels=z_t, has_motion=torch.ones(1))
    guided = _predict(SimpleNamespace(predict=predict), 500, scale, z_t, conditions)
    assert guided.unique().item() == pytest.approx(101 + 10 * scale)
