"""The backbone comes back from disk as it went, or not at all; each condition reaches its own frame only."""

import copy
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from lightning_modules.backbone import Backbone
from lightning_modules.model_folder import fingerprint
from lightning_modules.parts import WEIGHTS
from lightning_modules.reference import Reference


@pytest.fixture(scope="module")
def backbone(tiny_base):
    """Tests copy it before they change it."""
    return Backbone.from_pretrained(tiny_base)


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
def test_saving_and_loading_gives_the_same_output(backbone, tmp_path):
    backbone.save_pretrained(tmp_path / "copy", dtype=torch.float32)
    inputs = _inputs(backbone)
    assert torch.equal(_predict(backbone, inputs), _predict(Backbone.from_pretrained(tmp_path / "copy"), inputs))


@pytest.mark.slow
def test_weights_are_stored_in_half_and_computed_in_float32(backbone, tmp_path):
    backbone.save_pretrained(tmp_path / "copy")
    stored = load_file(tmp_path / "copy" / "unet" / WEIGHTS)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert {p.dtype for p in Backbone.from_pretrained(tmp_path / "copy").parameters()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["to_k_ip", "to_v_ip"])
def test_missing_condition_weights_are_refused(tiny_base, tmp_path, stream):
    """Diffusers' own loader goes on without them: identity and sound vanish with a warning."""
    shutil.copytree(tiny_base, tmp_path / "base")
    path = tmp_path / "base" / "unet" / WEIGHTS
    kept = {name: tensor for name, tensor in load_file(path).items() if stream not in name}
    assert len(kept) < len(load_file(path))
    save_file(kept, path)
    with pytest.raises(ValueError, match="missing"):
        Backbone.from_pretrained(tmp_path / "base")


def test_unexpected_weights_are_refused(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "base")
    path = tmp_path / "base" / "audio" / WEIGHTS
    save_file(load_file(path) | {"stranger": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="unexpected"):
        Backbone.from_pretrained(tmp_path / "base")


def test_a_missing_base_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pretrain\.py"):
        Backbone.from_pretrained(tmp_path)


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
    beside = backbone.conditions(reference, inputs["mel"], inputs["motion"], inputs["has_motion"]).beside
    channels = reference.latents.shape[1]
    still, moved, surface = beside.split([channels, channels, 3], dim=2)
    assert torch.equal(moved[1], still[1])
    assert not torch.equal(moved[0], still[0])
    assert surface[0].abs().min(dim=0).values.max() > 0
    assert surface[1].abs().max() == 0


def test_the_fingerprint_follows_weights_and_config(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "base")
    assert fingerprint(tmp_path / "base") == fingerprint(tiny_base)
    shape = json.loads((tmp_path / "base" / "backbone.json").read_text())
    (tmp_path / "base" / "backbone.json").write_text(json.dumps(shape | {"window": 3}))
    assert fingerprint(tmp_path / "base") != fingerprint(tiny_base)
