"""Which rows a GPU benchmark has, and at which size: real ones on a GPU, toys on a CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial

import torch

from benchmarks.on_gpu.checks import check_against_cpu, check_groups, check_half_precision
from benchmarks.on_gpu.generation import How, measure_generation, measure_least_memory
from benchmarks.on_gpu.rates import matmul_rate
from benchmarks.on_gpu.training import (
    FROZEN,
    measure_bytes,
    measure_groups,
    measure_step_memory,
    measure_step_rate,
)
from benchmarks.report import Bar
from benchmarks.synthetic import SD15, Size
from compute import make_fabric
from lightning_modules.pretraining.small import SMALL

DEMO = Size(SMALL, pixels=64, frames=8)
LARGE = Size(SD15, pixels=512, frames=16)
MIDDLE = Size(SD15, pixels=256, frames=16)

Measure = Callable[[], list[Bar]]


def make_toy() -> Size:
    """Return a size at which a CPU runs every path in seconds."""
    configs = copy.deepcopy(SD15)
    configs["vae"] |= {"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4}
    configs["unet"] |= {
        "block_out_channels": [8, 8, 16, 16],
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "cross_attention_dim": 16,
        "num_attention_heads": 2,
        "motion_num_attention_heads": 2,
    }
    configs |= {name: {"token_dim": 16} for name in ("audio", "identity", "motion")}
    return Size(configs, pixels=64, frames=4)


def make_rows(device: torch.device) -> dict[str, Measure]:
    """Return every row by name, in the order they run: first what must be right, last what takes long to prepare."""
    gpu = device.type == "cuda"
    toy = make_toy()
    demo, middle, large = (DEMO, MIDDLE, LARGE) if gpu else (toy, toy, toy)
    half, brain, clients = (torch.float16, torch.bfloat16, 8) if gpu else (torch.float32, torch.float32, 2)
    fabric = make_fabric("auto", 1, "auto", "32-true")
    mixed = make_fabric("auto", 1, "auto", "16-mixed") if gpu else fabric

    @cache
    def rate(dtype: torch.dtype) -> float:
        return matmul_rate(device, dtype, 8192 if gpu else 256)

    def rates() -> list[Bar]:
        return [Bar(f"matmul, {dtype}: TFLOP/s", rate(dtype) / 1e12, "", True) for dtype in (brain, half)]

    def one(check: Callable[..., Bar], *arguments: object) -> Measure:
        def measure() -> list[Bar]:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # convolutions in whole float32
                return [check(*arguments)]

        return measure

    def generation(tiny_decoder: bool, how: How = "as it is") -> Measure:
        return lambda: measure_generation(large, device, brain, rate(brain), tiny_decoder, how)

    return {
        "bf16 against float32": one(check_half_precision, demo, device, torch.bfloat16),
        "fp16 against float32": one(check_half_precision, demo, device, torch.float16),
        "clients at once against in turn, float32": one(check_groups, demo, fabric, torch.float32, 1e-2),
        "clients at once against in turn, float64": one(check_groups, demo, fabric, torch.float64, 1e-10),
        "device against CPU": one(check_against_cpu, demo, device),
        "matmul": rates,
        "bytes of an update": partial(measure_bytes, large),
        "LoRA step, memory": partial(measure_step_memory, large, device, half),
        "LoRA step, rate": lambda: measure_step_rate(large, device, half, rate(half)),
        "generation, KL VAE": generation(False),
        "generation, TAESD": generation(True),
        "generation, least memory": partial(measure_least_memory, large, device, brain),
        "clients at once, demo": partial(measure_groups, demo, fabric, 2, 3.0, clients),
        "clients at once, 256x256": partial(
            measure_groups, middle, mixed, 1, 1.3, clients, frozen_dtype=FROZEN[half], gradient_checkpointing=True
        ),
        "generation, KL VAE, every frame decoded twice": generation(False, "every frame decoded twice"),
        "generation, KL VAE, channels last": generation(False, "channels last"),
        "generation, KL VAE, compiled": generation(False, "compiled"),
        "LoRA step, rate, compiled": lambda: measure_step_rate(large, device, half, rate(half), compiled=True),
    }
