"""Stage 0 measures how far clean latents are from the reference, and the denoiser starts from that."""

import pytest
import torch

from lightning_modules.base_folder import load_base, save_base
from lightning_modules.pretraining.calibration import DOUBT, expect_copies, set_latent_scale
from lightning_modules.sampling import SamplingOptions, animate


@pytest.fixture
def backbone(tiny_base):
    return load_base(tiny_base)


def _window(backbone, away, posed):
    """A window of four frames whose latents are `away` from the reference's in every value."""
    latents = torch.randn(2, 1, backbone.vae.config.latent_channels, 16, 16)
    return {
        "latents": (latents + away).expand(-1, 4, -1, -1, -1),
        "reference": latents[:, 0],
        "reference_frame": torch.zeros(2, 3, 64, 64),
        "reference_motion": torch.zeros(2, 6),
        "identity": torch.zeros(2, backbone.encoder.config.embedding_dim),
        "motion": torch.zeros(2, 4, 6),
        "has_motion": torch.full((2,), float(posed)),
    }


@pytest.mark.slow
def test_the_spread_is_the_mean_distance_from_the_reference_and_some_doubt(backbone):
    expect_copies(backbone, [_window(backbone, away, posed=False) for away in (0.3, 0.4)])
    distance = ((0.09 + 0.16) / 2 * (1 + DOUBT**2)) ** 0.5
    for one in (backbone.spread.still, backbone.spread.moved):
        torch.testing.assert_close(one, torch.full_like(one, distance))


def test_every_place_has_its_own_spread_and_none_has_nothing(backbone):
    away = torch.zeros(16, 16)
    away[12, 8] = 1.0  # a mouth, say
    expect_copies(backbone, [_window(backbone, away, posed=False)])
    floor = DOUBT * (1 / 256) ** 0.5
    assert backbone.spread.still[:, 12, 8].min() > 1.0
    torch.testing.assert_close(backbone.spread.still[:, 0], torch.full_like(backbone.spread.still[:, 0], floor))


def test_a_moved_reference_has_a_spread_of_its_own(backbone):
    """A black frame laid anywhere is black: its latents are another copy than the reference's random ones."""
    expect_copies(backbone, [_window(backbone, 0.3, posed=True)])
    still, moved = backbone.spread(torch.tensor([0.0, 1.0]))
    assert still.shape == (1, backbone.vae.config.latent_channels, 16, 16)
    assert still.mean() == pytest.approx(0.3 * (1 + DOUBT**2) ** 0.5)
    assert moved.mean() > 0.5


@pytest.mark.slow
def test_before_it_learned_anything_the_denoiser_copies(backbone, tmp_path):
    portrait = torch.randint(256, (3, 64, 64), dtype=torch.uint8)
    expect_copies(backbone, [_window(backbone, 0.3, posed=False)])
    save_base(backbone, tmp_path / "base", dtype=torch.float32)
    kept = load_base(tmp_path / "base")
    assert kept.shape == backbone.shape
    frames = animate(kept, portrait, torch.zeros(9, 20, 80), SamplingOptions(steps=1))
    with torch.no_grad():
        copied = kept.decode(kept.encode(portrait[None] / 127.5 - 1))
    torch.testing.assert_close(frames / 127.5 - 1, copied.clamp(-1, 1).expand(9, -1, -1, -1), atol=0.01, rtol=0)


def test_latents_are_scaled_to_the_size_of_the_noise(backbone):
    frames = torch.rand(8, 3, 64, 64) * 2 - 1
    set_latent_scale(backbone, frames)
    with torch.no_grad():
        assert backbone.encode(frames).std().item() == pytest.approx(1, rel=1e-4)
