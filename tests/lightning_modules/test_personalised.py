"""Adapters act together, merged into the weights, and only on the base and beside the global adapter they know."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from lightning_modules.adapters import attach_adapter
from lightning_modules.backbone import Backbone
from lightning_modules.base_folder import load_base, save_base
from lightning_modules.personalised import find_adapters, load_personalised
from lightning_modules.sampling import SamplingOptions, stream_denoised
from lightning_modules.talking_head import TalkingHead


@pytest.fixture(scope="module")
def finished_run(tiny_base, tmp_path_factory):
    run, head = tmp_path_factory.mktemp("run"), TalkingHead(str(tiny_base), identity_rank=2)
    for parameter in [*head.shared_parameters(), *head.personal_parameters()]:
        torch.nn.init.normal_(parameter, std=0.3)
    head.export_adapter("shared", run / "global", global_adapter="abc", round=2)
    head.export_adapter("identity", run / "clients/alice/identity", client="alice", global_adapter="abc", round=2)
    return run


@pytest.fixture
def demo_run(finished_run, tmp_path):
    """A copy, to be broken."""
    return shutil.copytree(finished_run, tmp_path / "demo")


def sample(backbone: Backbone) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    portrait = torch.randint(0, 256, (3, 64, 64), generator=generator, dtype=torch.uint8)
    mel = torch.randn(10, 20, 80, generator=generator)
    motion = 0.3 * torch.randn(10, 6, generator=generator)
    denoised = stream_denoised(backbone, portrait, mel, SamplingOptions(steps=2), motion=motion)
    return torch.cat([piece.latents for piece in denoised])


@pytest.mark.slow
def test_merged_adapters_act_like_attached_ones(demo_run, tiny_base):
    attached = load_base(tiny_base)
    attach_adapter(attached.unet, "shared", demo_run / "global")
    attach_adapter(attached.unet, "identity", demo_run / "clients/alice/identity")
    attach_adapter(attached.mover, "shared", demo_run / "global/mover")
    attach_adapter(attached.mover, "identity", demo_run / "clients/alice/identity/mover")
    for model in (attached.unet, attached.mover):
        model.set_adapter(["shared", "identity"])
    both = sample(attached)
    torch.testing.assert_close(
        sample(load_personalised(tiny_base, demo_run / "clients/alice")), both, rtol=1e-3, atol=1e-4
    )
    for model in (attached.unet, attached.mover):
        model.set_adapter(["shared"])
    torch.testing.assert_close(
        sample(load_personalised(tiny_base, demo_run / "global")), sample(attached), rtol=1e-3, atol=1e-4
    )
    assert (sample(attached) - both).abs().max() > 0.01
    assert (sample(load_personalised(tiny_base)) - sample(attached)).abs().max() > 0.01


@pytest.mark.slow
def test_nothing_is_left_of_a_merged_adapter(demo_run, tiny_base):
    merged, plain = load_personalised(tiny_base, demo_run / "clients/alice"), load_personalised(tiny_base)
    assert list(merged.state_dict()) == list(plain.state_dict())
    assert not any(parameter.requires_grad for parameter in merged.parameters())


@pytest.mark.slow
def test_a_clients_folder_takes_the_global_adapter_along(demo_run):
    expected = {"shared": demo_run / "global", "identity": demo_run / "clients/alice/identity"}
    assert find_adapters(demo_run / "clients/alice") == expected
    assert find_adapters(demo_run / "clients/alice/identity") == expected
    assert find_adapters(demo_run / "global") == {"shared": demo_run / "global"}


@pytest.mark.slow
def test_a_run_is_no_adapter_but_its_adapters_are_named(demo_run):
    with pytest.raises(FileNotFoundError, match=r"Choose one of: .*global, .*alice\."):
        find_adapters(demo_run)


def test_a_client_without_the_global_adapter_is_refused(demo_run):
    shutil.rmtree(demo_run / "global")
    with pytest.raises(FileNotFoundError, match="needs the global adapter"):
        find_adapters(demo_run / "clients/alice")


def test_an_adapter_of_another_base_is_refused(demo_run, tiny_base, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_base, other)
    shape = json.loads((other / "backbone.json").read_text())
    (other / "backbone.json").write_text(json.dumps(shape | {"window": 4}))
    with pytest.raises(ValueError, match="belongs to base model"):
        load_personalised(other, demo_run / "global")


@pytest.mark.slow
def test_adapters_of_different_rounds_are_refused(demo_run, tiny_base):
    path = demo_run / "global" / "adapter.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"global_adapter": "xyz", "round": 3}))
    with pytest.raises(ValueError, match="shared of round 3 and identity of round 2"):
        load_personalised(tiny_base, demo_run / "clients/alice")
    load_personalised(tiny_base, demo_run / "global")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter.json"])
def test_a_broken_adapter_is_named(demo_run, tiny_base, name):
    path = demo_run / "global" / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"global.* is broken"):
        load_personalised(tiny_base, demo_run / "global")


def test_a_broken_base_is_named(tiny_base, tmp_path):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "unet" / "diffusion_pytorch_model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match=r"base/unet/diffusion_pytorch_model\.safetensors is broken"):
        load_personalised(base)


@pytest.mark.slow
def test_nothing_is_said_about_two_adapters(demo_run, tiny_base, recwarn):
    load_personalised(tiny_base, demo_run / "clients/alice")
    assert not [str(warning.message) for warning in recwarn if "peft" in str(warning.message)]


@pytest.fixture
def trained_whole(tiny_base, tmp_path) -> Backbone:
    """What a run trained that federated the whole denoiser; it lies in `global`."""
    trained = load_base(tiny_base)
    torch.nn.init.normal_(trained.unet.conv_in.bias, std=0.5)
    save_base(trained, tmp_path / "global", torch.float32)
    return trained


@pytest.mark.slow
def test_a_run_that_trained_the_whole_denoiser_brings_its_own_base(trained_whole, tiny_base, tmp_path):
    together = sample(load_personalised(tiny_base, tmp_path / "global"))
    torch.testing.assert_close(together, sample(trained_whole))
    assert (together - sample(load_personalised(tiny_base))).abs().max() > 0.01


@pytest.mark.slow
def test_an_identity_adapter_acts_on_the_base_that_the_run_brings(trained_whole, tiny_base, tmp_path):
    head = TalkingHead(str(tmp_path / "global"), identity_rank=2)
    for parameter in head.personal_parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    head.export_adapter("identity", tmp_path / "clients/alice/identity", client="alice")
    own = sample(load_personalised(tiny_base, tmp_path / "clients/alice"))
    assert (own - sample(trained_whole)).abs().max() > 0.01


@pytest.mark.parametrize("part", ["global", "clients/alice/identity"])
def test_an_adapter_without_its_part_on_the_mover_is_refused(demo_run, tiny_base, part):
    shutil.rmtree(demo_run / part / "mover")
    with pytest.raises(FileNotFoundError, match=f"No adapter in .*{part}/mover"):
        load_personalised(tiny_base, demo_run / "clients/alice")
