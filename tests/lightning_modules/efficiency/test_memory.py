"""What saves memory changes no result, or little, and leaves adapters alone."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.args import MemoryArgs
from lightning_modules.base_folder import load_base
from lightning_modules.efficiency.memory import move_to_device
from lightning_modules.mover import HeadMover
from lightning_modules.sampling import SamplingOptions, stream_denoised
from lightning_modules.talking_head import TalkingHead
from tests.lightning_modules.batches import make_batch


def step(base, **options) -> tuple[TalkingHead, torch.Tensor]:
    """Take one training step's gradient with adapters that already act."""
    head = TalkingHead(str(base), **options)
    trained = [*head.shared_parameters(), *head.personal_parameters()]
    torch.manual_seed(1)
    for parameter in trained:
        torch.nn.init.normal_(parameter, std=0.1)
    batch = make_batch(head)
    head.training_step(batch, 0).backward()
    return head, torch.cat([parameter.grad.flatten() for parameter in trained])


@pytest.fixture(scope="module")
def plain(tiny_base) -> torch.Tensor:
    return step(tiny_base)[1]


@pytest.mark.slow
def test_recomputed_activations_give_the_same_gradient(tiny_base, plain):
    assert torch.equal(step(tiny_base, gradient_checkpointing=True)[1], plain)


@pytest.mark.slow
def test_the_mover_is_recomputed_a_few_frames_at_a_time(tiny_base, plain, monkeypatch):
    """Of all clips at once, so that clients who train together keep their rows in the same order."""
    asked, forward = [], HeadMover.forward

    def count(mover, reference, own, motion):
        if torch.is_grad_enabled():
            asked.append(tuple(motion.shape[:2]))
        return forward(mover, reference, own, motion)

    monkeypatch.setattr(HeadMover, "forward", count)
    clips, frames = make_batch(TalkingHead(str(tiny_base)))["latents"].shape[:2]
    monkeypatch.setattr("lightning_modules.efficiency.memory.MOVED_PIXELS", 2 * clips * 64**2)
    gradient = step(tiny_base, gradient_checkpointing=True)[1]
    assert asked == 2 * [(clips, 2)] * (frames // 2)  # forward, and again backward
    torch.testing.assert_close(gradient, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_weights_in_host_memory_give_the_same_gradient(tiny_base, plain):
    memory = MemoryArgs(offload=True, park_encoders=True)
    head, gradient = step(tiny_base, gradient_checkpointing=True, memory=memory)
    assert torch.equal(gradient, plain)
    encoder = sum(1 for name, _ in head.backbone.vae.encoder.named_modules() if name.endswith("conv1"))
    assert len(head.stored) > encoder > 0


@pytest.mark.slow
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_eight_bit_trains_float32_adapters(tiny_base, plain, gradient_checkpointing):
    options = {"gradient_checkpointing": gradient_checkpointing, "memory": MemoryArgs(eight_bit=True)}
    head, gradient = step(tiny_base, **options)
    kinds = {"lora" in name: parameter.dtype for name, parameter in head.backbone.unet.mid_block.named_parameters()}
    assert kinds[True] == torch.float32
    small = sum(p.numel() for p in head.parameters() if p.dtype == torch.float8_e4m3fn)
    frozen = sum(p.numel() for name, p in head.backbone.unet.named_parameters() if "lora" not in name)
    assert small > 0.9 * frozen
    assert 0 < (gradient - plain).norm() < 0.1 * plain.norm()


@pytest.mark.slow
def test_frames_one_at_a_time_give_the_same_gradient(tiny_base, plain):
    torch.testing.assert_close(step(tiny_base, memory=MemoryArgs(vae_slicing=True))[1], plain, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_portrait_speaks_alike_from_wherever_its_weights_are(tiny_base):
    portrait, mel = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8), torch.randn(10, 20, 80)

    def speak(memory: MemoryArgs) -> torch.Tensor:
        backbone = move_to_device(load_base(tiny_base), torch.device("cpu"), "32", memory)
        with torch.no_grad():
            denoised = stream_denoised(backbone, portrait, mel, SamplingOptions(steps=2))
            return torch.cat([piece.latents for piece in denoised])

    usual = speak(MemoryArgs())
    assert torch.equal(speak(MemoryArgs(offload=True, park_encoders=True)), usual)
    assert 0 < (speak(MemoryArgs(eight_bit=True)) - usual).norm() < 0.2 * usual.norm()


def test_16_bit_on_a_cpu_is_refused():
    with pytest.raises(ValueError, match="needs a GPU"):
        move_to_device(torch.nn.Identity(), torch.device("cpu"), "16", MemoryArgs())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_parked_encoders_are_gone_from_the_device(tiny_base):
    """The device holds less by what the encoders weigh, after they have encoded, too."""
    torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda")  # cuBLAS keeps a workspace from its first use

    def held(memory: MemoryArgs) -> int:
        before = torch.cuda.memory_allocated()
        backbone = move_to_device(load_base(tiny_base), torch.device("cuda"), "32", memory)
        backbone.encode_reference(torch.zeros(3, 64, 64, dtype=torch.uint8))
        return torch.cuda.memory_allocated() - before

    encoder = load_base(tiny_base).vae.encoder
    weights = sum(p.nbytes for name, p in encoder.named_parameters() if "norm" not in name)
    assert held(MemoryArgs()) - held(MemoryArgs(park_encoders=True)) > 0.9 * weights
