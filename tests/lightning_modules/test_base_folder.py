"""A base model comes back from disk as it went, or not at all."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from lightning_modules.base_folder import design_base, load_base, save_base
from lightning_modules.model_folder import fingerprint
from lightning_modules.parts import WEIGHTS
from lightning_modules.sampling import SamplingOptions, stream_denoised


@pytest.fixture(scope="module")
def backbone(tiny_base):
    return load_base(tiny_base)


def describe(backbone):
    """Return all that decides what the parts are."""
    configs = {name: dict(part.config) for name, part in backbone.parts()}
    return {
        name: {key: value for key, value in config.items() if key != "_name_or_path"}
        for name, config in configs.items()
    }


def speak(backbone):
    """Return the latents of a few frames; portrait, sound and motion are the same each time."""
    generator = torch.Generator().manual_seed(1)
    portrait = torch.randint(256, (3, 64, 64), generator=generator, dtype=torch.uint8)
    sound, motion = torch.randn(4, 20, 80, generator=generator), 0.3 * torch.randn(4, 6, generator=generator)
    denoised = stream_denoised(backbone, portrait, sound, SamplingOptions(steps=1), motion=motion)
    return torch.cat([piece.latents for piece in denoised])


@pytest.mark.slow
def test_what_is_saved_is_what_is_loaded(backbone, tmp_path):
    save_base(backbone, tmp_path / "copy", dtype=torch.float32)
    found = load_base(tmp_path / "copy")
    assert describe(found) == describe(backbone)
    assert found.shape == backbone.shape
    assert dict(found.scheduler.config) == dict(backbone.scheduler.config)
    torch.testing.assert_close(found.state_dict(), backbone.state_dict(), rtol=0, atol=0)
    assert torch.equal(speak(found), speak(backbone))


def test_a_design_has_the_shapes_of_what_is_loaded(backbone, tiny_base):
    with torch.device("meta"):
        designed = design_base(tiny_base)
    assert describe(designed) == describe(backbone)
    shapes = {name: weight.shape for name, weight in backbone.state_dict().items()}
    assert {name: weight.shape for name, weight in designed.state_dict().items()} == shapes


def test_weights_are_stored_in_half_and_computed_in_float32(backbone, tmp_path):
    save_base(backbone, tmp_path / "copy")
    stored = load_file(tmp_path / "copy" / "unet" / WEIGHTS)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert {p.dtype for p in load_base(tmp_path / "copy").parameters()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["to_k_ip", "to_v_ip"])
def test_missing_condition_weights_are_refused(tiny_base, tmp_path, stream):
    """Diffusers' own loader goes on without them: identity and sound vanish with a warning."""
    shutil.copytree(tiny_base, tmp_path / "base")
    path = tmp_path / "base" / "unet" / WEIGHTS
    kept = {name: tensor for name, tensor in load_file(path).items() if stream not in name}
    assert len(kept) < len(load_file(path))
    save_file(kept, path)
    with pytest.raises(ValueError, match="Missing key"):
        load_base(tmp_path / "base")


def test_unexpected_weights_are_refused(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "base")
    path = tmp_path / "base" / "audio" / WEIGHTS
    save_file(load_file(path) | {"stranger": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="Unexpected key"):
        load_base(tmp_path / "base")


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_weights_that_break_off_are_named(tiny_base, tmp_path, length):
    shutil.copytree(tiny_base, tmp_path / "base")
    path = tmp_path / "base" / "audio" / WEIGHTS
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is broken"):
        load_base(tmp_path / "base")


def test_a_missing_base_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pretrain\.py"):
        load_base(tmp_path)


@pytest.mark.parametrize("text", ["", '{"size": 64,'])
def test_a_shape_that_breaks_off_says_which_file_is_broken(tiny_base, tmp_path, text):
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "base" / "backbone.json").write_text(text)
    with pytest.raises(ValueError, match=r"backbone\.json of the base model is broken"):
        load_base(tmp_path / "base")


def test_the_fingerprint_follows_weights_and_config(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "base")
    assert fingerprint(tmp_path / "base") == fingerprint(tiny_base)
    shape = json.loads((tmp_path / "base" / "backbone.json").read_text())
    (tmp_path / "base" / "backbone.json").write_text(json.dumps(shape | {"window": 3}))
    assert fingerprint(tmp_path / "base") != fingerprint(tiny_base)
