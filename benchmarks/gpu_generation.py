"""The rows of generation: frames a second with either decoder, decoding included, and the least memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from benchmarks.gpu_rates import count_generation, mixed_precision, peak_memory, time_of
from benchmarks.report import Bar
from benchmarks.synthetic import Size, draw_batch
from lightning_modules.backbone import Backbone
from lightning_modules.reference import Reference
from lightning_modules.sampling import sample_latents

STEPS = 4
CLIP_WINDOWS = 4
"""Windows of the clip that is timed, less their overlaps."""
DECODED_AT_ONCE = 16

Decode = Callable[[Backbone, Tensor], object]


def decode_with_vae(backbone: Backbone, latents: Tensor) -> None:
    """Decode with the Stable Diffusion autoencoder, some frames at a time."""
    for chunk in latents.flatten(0, -4).split(DECODED_AT_ONCE):
        backbone.decode(chunk)


class DecodeTiny:
    """Decodes with TAESD's architecture; random weights are as fast as its own."""

    def __init__(self, device: str | torch.device, dtype: torch.dtype = torch.float32) -> None:
        with torch.device(device):
            self.decoder = AutoencoderTiny().decoder.requires_grad_(False).eval().to(dtype)

    def __call__(self, backbone: Backbone, latents: Tensor) -> None:
        """Decode some frames at a time."""
        for chunk in latents.flatten(0, -4).split(DECODED_AT_ONCE):
            self.decoder(chunk)


def make_generation(
    backbone: Backbone, frames: int, device: torch.device, dtype: torch.dtype, decode: Decode
) -> Callable[[], None]:
    """Return the generation of one clip with head motion, from what is known of the portrait to decoded frames."""
    batch = {name: part.to(device) for name, part in draw_batch(backbone, 1, frames).items()}
    reference = Reference.of_batch(batch)

    def generate() -> None:
        with torch.no_grad(), mixed_precision(device, dtype):
            latents = sample_latents(
                backbone,
                reference=reference,
                mel=batch["mel"][0],
                motion=batch["motion"][0],
                noise=batch["latents"][0],
                steps=STEPS,
            )
            decode(backbone, latents.to(dtype))

    return generate


def measure_generation(
    size: Size, device: torch.device, dtype: torch.dtype, matmul: float, tiny_decoder: bool
) -> list[Bar]:
    """Measure frames a second and the share of the matmul rate; FLOPs of windows' overlaps are counted as work."""
    name = f"generation, {size.pixels}x{size.pixels}, {STEPS} steps, {'TAESD' if tiny_decoder else 'KL VAE'}"
    flops = count_generation(size, STEPS, DecodeTiny("meta") if tiny_decoder else decode_with_vae) / size.frames
    decode = DecodeTiny(device, dtype) if tiny_decoder else decode_with_vae
    frames = CLIP_WINDOWS * size.frames
    backbone = size.build_backbone(device).to(dtype)
    seconds = time_of(make_generation(backbone, frames, device, dtype, decode), device, 3)
    return [
        Bar.at_least(f"{name}: share of the matmul rate", frames * flops / seconds / matmul, 0.35),
        Bar(f"{name}: frames/s", frames / seconds, "", True),
        Bar(f"{name}: TFLOP a frame", flops / 1e12, "", True),
    ]


def measure_least_memory(size: Size, device: torch.device, dtype: torch.dtype) -> list[Bar]:
    """Measure the peak memory of generating one window, its denoiser stored in 8 bit, decoded frame by frame."""
    backbone = size.build_backbone(device).to(dtype)
    backbone.unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)

    def decode_one_by_one(backbone: Backbone, latents: Tensor) -> None:
        for frame in latents.split(1):
            backbone.decode(frame)

    generate = make_generation(backbone, size.frames, device, dtype, decode_one_by_one)
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
