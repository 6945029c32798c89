"""Adapters are peft's own: what we write, peft and diffusers load; what does not fit is refused."""

import json
from contextlib import contextmanager

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from lightning_modules.adapters import PREFIX, add_adapter, attach_adapter
from lightning_modules.base_folder import load_base
from lightning_modules.mover import HeadMover
from lightning_modules.reference import Reference
from lightning_modules.talking_head import TalkingHead


@pytest.fixture(scope="module")
def trained(tiny_base):
    """A head whose adapters do something: B is not zero. Tests export it and change nothing but what acts."""
    head = TalkingHead(str(tiny_base), identity_rank=2)
    for parameter in [*head.shared_parameters(), *head.personal_parameters()]:
        torch.nn.init.normal_(parameter, std=0.05)
    return head


@contextmanager
def acting(backbone, name):
    """Let one adapter act alone."""
    for model in (backbone.unet, backbone.mover):
        model.set_adapter([name])
    yield
    for model in (backbone.unet, backbone.mover):
        model.set_adapter(["shared", "identity"])


@torch.no_grad()
def _output(backbone):
    generator = torch.Generator().manual_seed(1)
    channels = backbone.vae.config.latent_channels

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    reference = Reference(draw(1, 3, 64, 64), draw(1, channels, 16, 16), draw(1, 128), draw(1, 6))
    conditions = backbone.conditions(reference, draw(1, 3, 20, 80), draw(1, 3, 6), torch.ones(1))
    return backbone.predict(draw(1, 3, channels, 16, 16), torch.tensor([300]), conditions)


@pytest.mark.slow
def test_an_adapter_that_breaks_off_is_named(trained, tmp_path):
    """As `--module.shared_start` loads it."""
    trained.export_adapter("shared", tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is broken"):
        trained.load_adapter("shared", tmp_path)


@pytest.mark.slow
def test_adapters_start_without_effect(tiny_base):
    torch.testing.assert_close(_output(TalkingHead(str(tiny_base)).backbone), _output(load_base(tiny_base)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shared", "identity"])
def test_plain_peft_and_plain_diffusers_load_what_is_exported(trained, tiny_base, tmp_path, name):
    trained.export_adapter(name, tmp_path)
    with acting(trained.backbone, name):
        expected = _output(trained.backbone)
    by_peft, by_diffusers = load_base(tiny_base), load_base(tiny_base)
    assert not torch.equal(_output(by_peft), expected)
    for part, folder in {"unet": tmp_path, "mover": tmp_path / "mover"}.items():
        setattr(by_peft, part, PeftModel.from_pretrained(getattr(by_peft, part), folder))
        weights = load_file(folder / "adapter_model.safetensors")
        config = json.loads((folder / "adapter_config.json").read_text())
        metadata = {PREFIX + key: value for key, value in config.items()}
        getattr(by_diffusers, part).load_lora_adapter(weights, prefix=PREFIX.rstrip("."), metadata=metadata)
    torch.testing.assert_close(_output(by_peft), expected)
    torch.testing.assert_close(_output(by_diffusers), expected)


def test_the_frozen_a_is_saved_with_shared(trained, tmp_path):
    trained.export_adapter("shared", tmp_path)
    keys = load_file(tmp_path / "adapter_model.safetensors").keys()
    assert sum("lora_A" in key for key in keys) == sum("lora_B" in key for key in keys) > 0


@pytest.mark.slow
def test_both_adapters_act_at_once_and_come_back(trained, tiny_base, tmp_path):
    trained.export_adapter("shared", tmp_path / "s", round=3)
    trained.export_adapter("identity", tmp_path / "i")
    backbone = load_base(tiny_base)
    notes = attach_adapter(backbone.unet, "shared", tmp_path / "s")
    attach_adapter(backbone.unet, "identity", tmp_path / "i")
    backbone.unet.set_adapter(["shared", "identity"])
    assert not torch.equal(_output(backbone), _output(trained.backbone))  # heads still move as everybody's do
    attach_adapter(backbone.mover, "shared", tmp_path / "s" / "mover")
    attach_adapter(backbone.mover, "identity", tmp_path / "i" / "mover")
    backbone.mover.set_adapter(["shared", "identity"])
    torch.testing.assert_close(_output(backbone), _output(trained.backbone))
    assert notes == {"base": trained.base_hash, "round": 3}
    assert json.loads((tmp_path / "s" / "adapter.json").read_text()) == notes


@pytest.mark.slow
def test_an_adapter_of_another_rank_is_refused(trained, tiny_base, tmp_path):
    trained.export_adapter("shared", tmp_path)
    with pytest.raises(ValueError, match="does not fit"):
        TalkingHead(str(tiny_base), shared_rank=2).load_adapter("shared", tmp_path)


def test_a_folder_without_an_adapter_is_refused(trained, tiny_base, tmp_path):
    with pytest.raises(FileNotFoundError, match="No adapter"):
        trained.load_adapter("shared", tmp_path)
    with pytest.raises(FileNotFoundError, match="No adapter"):
        attach_adapter(load_base(tiny_base).unet, "shared", tmp_path)


@pytest.mark.parametrize(("rank", "scale"), [(2, 1), (4, 4)])
def test_an_adapters_scale_does_not_depend_on_its_rank(rank, scale):
    mover = HeadMover((8, 16))
    add_adapter(mover, "shared", rank, mover.convolutions, seed=0, scale=scale)
    assert {layer.scaling["shared"] for layer in mover.modules() if isinstance(layer, LoraLayer)} == {scale}
