"""The rows of training: memory and rate of a LoRA step, clients at once, and how little a client sends."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning.fabric import Fabric
from torch import Tensor

from benchmarks.batched_clients import compare
from benchmarks.on_gpu.rates import count_step, mixed_precision, peak_memory, time_of
from benchmarks.report import Bar
from benchmarks.synthetic import Size, SyntheticClients, draw_batch
from federation.args import FederationArgs
from federation.local_optimizer import LocalOptimizer
from lightning_modules.args import MemoryArgs
from lightning_modules.draws import POSITIONS, with_draws
from lightning_modules.talking_head import TalkingHead

FROZEN = {torch.float16: "16", torch.bfloat16: "bf16", torch.float32: "32"}
"""How frozen parts are stored for a type that is computed in."""


def draw_step(size: Size, everything: bool) -> dict[str, Tensor]:
    """Return one clip with its draws: those that ask the most of the parts beside the denoiser, or the least."""
    batch = with_draws(draw_batch(size.build_backbone("meta"), 1, size.frames))
    if not everything:
        return batch | {"shown": torch.zeros(1)} | dict.fromkeys(POSITIONS, torch.zeros(0, dtype=torch.long))
    first = torch.zeros(1, dtype=torch.long)
    return batch | {"timestep": first + 100, "shown": torch.ones(1)} | dict.fromkeys(POSITIONS, first)


def make_step(
    head: TalkingHead, draws: dict[str, Tensor], device: torch.device, dtype: torch.dtype
) -> Callable[[], None]:
    """Return one optimizer step of one client, with a gradient scaler where the type needs one."""
    scaler = torch.amp.GradScaler(device.type) if dtype == torch.float16 else None
    local = LocalOptimizer(head.configure_optimizers(), FederationArgs(), 0.0, scaler)
    batch = {name: part.to(device) for name, part in draws.items()}

    def step() -> None:
        with mixed_precision(device, dtype):
            loss = head.training_step(batch, 0)
        local.scale(loss).backward()
        local.step()

    return step


def measure_step_memory(size: Size, device: torch.device, dtype: torch.dtype) -> list[Bar]:
    """Measure the peak memory of a step as in configs/low_memory.yaml, with the draws that need the most."""
    draws = draw_step(size, everything=True)
    settings = {"frozen_dtype": FROZEN[dtype], "gradient_checkpointing": True, "memory": MemoryArgs(vae_slicing=True)}
    head = size.build_head(device, **settings)
    step = make_step(head, draws, device, dtype)
    step()  # optimizer states are there from now on
    memory = peak_memory(step, device)
    name = "LoRA step, one client, least memory: peak GB allocated"
    if memory.allocated is None:
        return [Bar.not_measured(name, "<= 8", "no GPU")]
    return [
        Bar.at_most(name, memory.allocated, 8.0),
        Bar(f"{name.replace('allocated', 'reserved')}", memory.reserved, "", True),
        Bar("LoRA step, least memory: seconds", time_of(step, device, 3), "", True),
    ]


def measure_step_rate(
    size: Size, device: torch.device, dtype: torch.dtype, matmul: float, compiled: bool = False
) -> list[Bar]:
    """Measure a step's share of the matmul rate, memory being no object; FLOPs are of one forward and backward."""
    name = "LoRA step, compiled" if compiled else "LoRA step"
    draws = draw_step(size, everything=False)
    flops = count_step(size, draws)
    head = size.build_head(device, frozen_dtype=FROZEN[dtype])
    if compiled:
        head.backbone.unet.compile()
    step = make_step(head, draws, device, dtype)
    seconds = time_of(step, device, 5)
    return [
        Bar.at_least(f"{name}: share of the matmul rate", flops / seconds / matmul, 0.25),
        Bar(f"{name}: seconds", seconds, "", True),
        Bar(f"{name}: TFLOP", flops / 1e12, "", True),
    ]


def measure_groups(size: Size, fabric: Fabric, clips: int, least: float, clients: int, **settings: object) -> list[Bar]:
    """Measure the throughput of all clients at once, in units of one after the other."""
    head = size.build_head(fabric.device, **settings)
    cohort = SyntheticClients(fabric, head, clips, size.frames, clients, steps=4)
    ratio = compare(cohort, [1, clients], turns=3).ratios[clients]
    name = f"{clients} clients at once, {size.pixels}x{size.pixels}: throughput in units of one at a time"
    return [Bar.at_least(name, ratio, least)]


def measure_bytes(size: Size) -> list[Bar]:
    """Compare what a client sends in a round, masked, with the denoiser in 16 bit."""
    head = size.build_head("meta")
    sent = 4 * (sum(parameter.numel() for parameter in head.shared_parameters()) + 1)
    denoiser = 2 * sum(p.numel() for name, p in head.backbone.unet.named_parameters() if "lora_" not in name)
    return [
        Bar.at_most("bytes of a client's update, share of the denoiser in 16 bit", sent / denoiser, 0.01),
        Bar("bytes of a client's update", sent, "", True),
    ]
