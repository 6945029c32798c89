"""What people train: the shared and the personal part, and nothing else."""

import pytest
import torch
from peft.tuners.lora import LoraLayer

from lightning_modules.base_folder import load_base
from lightning_modules.talking_head import TalkingHead
from lightning_modules.trained_parts import Lora, add_parts
from tests.lightning_modules.batches import make_batch


@pytest.fixture(scope="module")
def untrained(tiny_base):
    """A head that tests look at and do not change."""
    return TalkingHead(str(tiny_base)).eval()


@pytest.mark.slow
def test_only_adapters_move(tiny_base):
    head = TalkingHead(str(tiny_base))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    optimizers = head.configure_optimizers()
    batch = make_batch(head)
    for step in range(2):  # B is zero at first, so A gets its first gradient in the second step
        head.training_step(batch, step).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    moved = {name for name, value in head.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert {name.split(".lora_")[1].split(".")[0] + "." + name.split(".lora_")[1].split(".")[1] for name in moved} == {
        "B.shared",
        "A.identity",
        "B.identity",
    }


@pytest.mark.slow
def test_shared_and_personal_parts_are_apart(untrained):
    shared, personal = set(untrained.shared_parameters()), set(untrained.personal_parameters())
    assert shared
    assert personal
    assert not shared & personal
    assert {p for p in untrained.parameters() if p.requires_grad} == shared | personal


def test_the_whole_denoiser_can_be_federated(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=0, trainable="backbone")
    denoiser = sum(p.numel() for name, p in head.backbone.unet.named_parameters() if "lora" not in name)
    assert sum(p.numel() for p in head.shared_parameters()) == denoiser
    head.training_step(make_batch(head), 0).backward()
    assert all(p.grad is not None for p in head.shared_parameters())


@pytest.mark.slow
def test_adapters_stay_float32_on_a_16_bit_backbone(tiny_base):
    head = TalkingHead(str(tiny_base), frozen_dtype="bf16")
    assert {p.dtype for p in [*head.shared_parameters(), *head.personal_parameters()]} == {torch.float32}
    assert head.backbone.vae.dtype == torch.bfloat16


def test_adapters_on_the_mover_weigh_four_times_as_much(tiny_base):
    backbone = load_base(tiny_base)
    add_parts(backbone.unet, backbone.mover, Lora(2, ["to_q"]), Lora(4, ["to_q"]), freeze_a=True)
    for model, scale in ((backbone.unet, 1), (backbone.mover, 4)):
        layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
        assert layers
        assert all(layer.scaling == {"shared": scale, "identity": scale} for layer in layers)


@pytest.mark.slow
def test_the_shared_a_trains_only_where_it_is_asked_for(untrained, tiny_base):
    frozen, free = untrained, TalkingHead(str(tiny_base), identity_rank=0, freeze_a=False)
    names = {
        head: {name for name, p in head.named_parameters() if p.requires_grad and ".shared." in name}
        for head in (frozen, free)
    }
    assert names[free] == names[frozen] | {name.replace("lora_B", "lora_A") for name in names[frozen]}
    assert len(free.shared_parameters()) == 2 * len(frozen.shared_parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("part", "settings"), [("shared", {"identity_rank": 0}), ("personal", {"identity_rank": 2})])
def test_each_part_learns_how_heads_move(tiny_base, part, settings):
    head = TalkingHead(str(tiny_base), **settings)
    on_mover = {id(parameter) for parameter in head.backbone.mover.parameters()}
    factors = [parameter for parameter in head.trained.named()[part] if id(parameter) in on_mover]
    found = torch.autograd.grad(head.client_losses([make_batch(head)])[0]["mover"], factors)
    assert any(gradient.abs().max() > 0 for gradient in found)


def test_a_base_without_a_mover_has_adapters_on_the_denoiser_alone(tiny_base):
    parts = add_parts(load_base(tiny_base).unet, None, Lora(2, ["to_q"]), Lora(2, ["to_q"]), freeze_a=True)
    assert list(parts.carriers()) == [""]
    assert parts.shared
    assert parts.personal


def test_a_whole_denoiser_alone_leaves_the_mover_as_it_is(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=0, trainable="backbone")
    assert not any(parameter.requires_grad for parameter in head.backbone.mover.parameters())
    assert head.client_losses([make_batch(head)])[0]["mover"] == 0
