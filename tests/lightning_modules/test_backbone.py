"""Each condition matters, and reaches its own frame only."""

import copy
import re
from dataclasses import replace

import pytest
import torch

from lightning_modules.base_folder import load_base
from lightning_modules.reference import Reference


@pytest.fixture(scope="module")
def backbone(tiny_base):
    """Tests copy it before they change it."""
    return load_base(tiny_base)


def _inputs(backbone, frames=4):
    channels, size = backbone.vae.config.latent_channels, 16
    return {
        "z_t": torch.randn(1, frames, channels, size, size),
        "timestep": torch.tensor([500]),
        "reference_frame": torch.randint(256, (1, 3, backbone.shape.size, backbone.shape.size), dtype=torch.uint8),
        "reference": torch.randn(1, channels, size, size),
        "reference_motion": torch.rand(1, 6),
        "identity": torch.randn(1, backbone.encoder.config.embedding_dim),
        "mel": torch.randn(1, frames, 20, 80),
        "motion": torch.randn(1, frames, 6),
        "has_motion": torch.ones(1),
    }


@torch.no_grad()
def _predict(backbone, inputs):
    driving = (inputs[name] for name in ("mel", "motion", "has_motion"))
    conditions = backbone.conditions(Reference.of_batch(inputs), *driving)
    return backbone.predict(inputs["z_t"], inputs["timestep"], conditions)


@pytest.mark.slow
def test_frames_hear_only_their_own_window(backbone):
    """Through the spatial attention; the temporal one carries it on, so it is cut here."""
    backbone = copy.deepcopy(backbone)
    for name, module in backbone.unet.named_modules():
        if re.search(r"motion_modules\.\d+$", name):
            module.forward = lambda hidden_states, *_, **__: hidden_states
    inputs = _inputs(backbone)
    before = _predict(backbone, inputs)
    inputs["mel"][:, 2] += 1.0
    changed = (_predict(backbone, inputs) - before).abs().amax(dim=(0, 2, 3, 4))
    assert changed[2] > 0
    assert changed[[0, 1, 3]].max() == 0


@pytest.mark.parametrize(("size", "most"), [(64, 512), (256, 32), (512, 8), (1024, 2), (2048, 1)])
def test_the_autoencoder_is_given_few_large_frames_at_once(backbone, monkeypatch, size, most):
    monkeypatch.setattr(backbone, "shape", replace(backbone.shape, size=size))
    assert backbone.frames_at_once == most


@torch.no_grad()
def test_frames_are_encoded_and_decoded_some_at_a_time(backbone, monkeypatch):
    backbone, frames, sizes = copy.deepcopy(backbone), torch.rand(2, 5, 3, 64, 64) * 2 - 1, []
    latents = backbone.encode(frames)
    decoded = backbone.decode(latents)
    for coder in (backbone.vae.encoder, backbone.vae.decoder):
        coder.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    monkeypatch.setattr("lightning_modules.backbone.PIXELS_AT_ONCE", 4 * 64**2)
    torch.testing.assert_close(backbone.encode(frames), latents, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(backbone.decode(latents), decoded, atol=1e-5, rtol=1e-4)
    assert sizes == [4, 4, 2] * 2


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["identity", "mel", "motion", "reference", "reference_frame"])
def test_every_condition_matters(backbone, condition):
    inputs = _inputs(backbone)
    before = _predict(backbone, inputs)
    inputs[condition] = inputs[condition].flip(-1)
    assert not torch.equal(_predict(backbone, inputs), before)


def test_hidden_motion_says_nothing(backbone):
    inputs = _inputs(backbone) | {"has_motion": torch.zeros(1)}
    before = _predict(backbone, inputs)
    inputs["motion"] = torch.randn_like(inputs["motion"])
    inputs["reference_motion"] = torch.randn_like(inputs["reference_motion"])
    assert torch.equal(_predict(backbone, inputs), before)


def test_only_clips_whose_motion_is_known_are_laid_on_it(backbone):
    inputs = {name: part.repeat(2, *[1] * (part.ndim - 1)) for name, part in _inputs(backbone).items()}
    inputs["has_motion"] = torch.tensor([1.0, 0.0])
    reference = Reference.of_batch(inputs)
    conditions = backbone.conditions(reference, inputs["mel"], inputs["motion"], inputs["has_motion"])
    channels = reference.latents.shape[1]
    still, moved, surface = conditions.extra_channels.split([channels, channels, 3], dim=2)
    assert torch.equal(moved[1], still[1])
    assert not torch.equal(moved[0], still[0])
    assert surface[0].abs().min(dim=0).values.max() > 0
    assert surface[1].abs().max() == 0
