"""What a device can do and what a model asks of it: matmul rates, FLOPs counted without computing, peak memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.synthetic import Size, draw_batch, synchronise
from lightning_modules.draws import with_draws
from lightning_modules.reference import Reference

GIGABYTE = 1e9
"""Bytes of a GB, as the bars count them."""


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Return the FLOP/s of a square matrix product of random numbers, the median of ten."""
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / time_of(lambda: one @ other, device, repeats=10)


def time_of(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median seconds of some work; the first time warms up and is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


@dataclass(frozen=True)
class Memory:
    """Peak memory of some work on a GPU, in GB (1e9 bytes); None on a CPU, where torch does not count it."""

    allocated: float | None
    reserved: float | None


def peak_memory(work: Callable[[], object], device: torch.device) -> Memory:
    """Return the most memory that was held while some work was done, with what was there before."""
    if device.type != "cuda":
        work()
        return Memory(None, None)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return Memory(torch.cuda.max_memory_allocated(device) / GIGABYTE, torch.cuda.max_memory_reserved(device) / GIGABYTE)


def mixed_precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Return autocast to a 16-bit type; float32 needs none."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def count_step(size: Size, draws: dict[str, torch.Tensor]) -> int:
    """Return the FLOPs of one forward and backward pass, without recomputation, for a batch with these draws.

    They are counted on the meta device: by shapes, in no memory. Attention there is plain matrix products, so that the
    scores are counted once and not again in the backward pass, as fused kernels compute them.
    """
    head = size.build_head("meta")
    batch = {name: part.to("meta") for name, part in draws.items()}
    with FlopCounterMode(display=False) as counter:
        head.training_step(batch, 0).backward()
    return counter.get_total_flops()


def count_generation(size: Size, steps: int, tiny_decoder: bool) -> int:
    """Return the FLOPs of denoising one window in some steps and decoding it; the portrait's encoding is not in it."""
    backbone = size.build_backbone("meta", tiny_decoder)
    batch = {name: part.to("meta") for name, part in with_draws(draw_batch(backbone, 1, size.frames)).items()}
    positions = torch.zeros(1, dtype=torch.long, device="meta")
    reference = Reference.of_batch(batch)
    extra_channels = backbone.make_extra_channels(reference, batch["motion"], positions)
    inputs = reference, batch["mel"], batch["motion"], batch["has_motion"], extra_channels
    with FlopCounterMode(display=False) as denoising, torch.no_grad():
        backbone.predict(batch["latents"], batch["timestep"], backbone.conditions(*inputs))
    with FlopCounterMode(display=False) as decoding, torch.no_grad():
        backbone.decode(batch["latents"])
    return steps * denoising.get_total_flops() + decoding.get_total_flops()
