"""The rows of generation: frames a second with either decoder, decoding included, and the least memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from benchmarks.on_gpu.rates import count_generation, peak_memory, time_of
from benchmarks.report import Bar
from benchmarks.synthetic import Size
from lightning_modules.args import Details, MemoryArgs, Precision
from lightning_modules.backbone import Backbone
from lightning_modules.denoised import decode_stream
from lightning_modules.efficiency.compiled import compile_backbone
from lightning_modules.efficiency.memory import move_to_device
from lightning_modules.sampling import SamplingOptions, stream_denoised

How = Literal["as it is", "channels last", "compiled", "every frame decoded twice"]

STEPS = 4
CLIP_WINDOWS = 4
"""Windows of the clip that is timed, less their overlaps."""
PRECISIONS: dict[torch.dtype, Precision] = {torch.float32: "32", torch.float16: "16", torch.bfloat16: "bf16"}
LEAST = MemoryArgs(windows=1, vae_slicing=True, park_encoders=True, eight_bit=True)


def make_generation(backbone: Backbone, frames: int, details: Details = "decoded") -> Callable[[], None]:
    """Return the generation of one clip with head motion, portrait to decoded frames, as in `generate.py`."""
    size, heard = backbone.shape.size, torch.randn(frames, 20, 80)
    portrait, motion = torch.zeros(3, size, size, dtype=torch.uint8), torch.zeros(frames, 6)
    options = SamplingOptions(STEPS, details=details)

    def generate() -> None:
        denoised = stream_denoised(backbone, portrait, heard, options, motion=motion)
        for _ in decode_stream(backbone, denoised):
            pass

    return generate


def measure_generation(
    size: Size, device: torch.device, dtype: torch.dtype, matmul: float, tiny_decoder: bool, how: How = "as it is"
) -> list[Bar]:
    """Measure frames a second and the share of the matmul rate.

    Details are those of the portrait, moved along (`--details warped`), so that each frame is decoded once. Not counted
    as work are windows' overlaps, a fifth of the denoising, the portrait's way through the autoencoder, and, where
    every frame is decoded twice, as `generate.py` does if not told otherwise, the second time.
    """
    decoder = "TAESD" if tiny_decoder else "KL VAE"
    name = f"generation, {size.pixels}x{size.pixels}, {STEPS} steps, {decoder}, {how}"
    flops = count_generation(size, STEPS, tiny_decoder) / size.frames
    frames = CLIP_WINDOWS * size.frames
    backbone = move_to_device(size.build_backbone(device, tiny_decoder), device, PRECISIONS[dtype], MemoryArgs())
    if how == "channels last":
        for part in (backbone.unet, backbone.vae, backbone.mover):
            part.to(memory_format=torch.channels_last)
    elif how == "compiled":
        compile_backbone(backbone)
    details = "decoded" if how == "every frame decoded twice" else "warped"
    seconds = time_of(make_generation(backbone, frames, details), device, 3)
    return [
        Bar.at_least(f"{name}: share of the matmul rate", frames * flops / seconds / matmul, 0.35),
        Bar(f"{name}: frames/s", frames / seconds, "", True),
        Bar(f"{name}: TFLOP a frame", flops / 1e12, "", True),
    ]


def measure_least_memory(size: Size, device: torch.device, dtype: torch.dtype) -> list[Bar]:
    """Measure the peak memory of generating one window with the thriftiest settings of `generate.py`."""
    backbone = move_to_device(size.build_backbone(device), device, PRECISIONS[dtype], LEAST)
    generate = make_generation(backbone, size.frames)
    seconds, memory = time_of(generate, device, 1), peak_memory(generate, device)
    name = "low-memory generation, one window, denoiser in 8 bit"
    bar = f"{name}: peak GB allocated"
    if memory.allocated is None:
        return [Bar.not_measured(bar, "<= 3.65", "no GPU")]
    return [
        Bar.at_most(bar, memory.allocated, 3.65),
        Bar(f"{name}: peak GB reserved", memory.reserved, "", True),
        Bar(f"{name}: frames/s", size.frames / seconds, "", True),
    ]
