"""From noise to frames: windows that overlap, agree at every step, and all hold on to the one reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.conditioning import MOTION_CHANNELS
from lightning_modules.diffusion import step_by_velocity
from lightning_modules.reference import Conditions, Reference


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """Return where windows begin so that every frame is covered and neighbours share at least `overlap` frames."""
    if frames <= window:
        return [0]
    starts = list(range(0, frames - window, window - overlap))
    return [*starts, frames - window]


def blend_weights(window: int) -> Tensor:
    """Return a triangle (window,) in (0, 1]: a window is surest of its middle."""
    ramp = torch.arange(1, window + 1).float()
    return torch.minimum(ramp, ramp.flip(0)) / ((window + 1) // 2)


@torch.no_grad()
def animate(
    backbone: Backbone,
    portrait: Tensor,
    mel: Tensor,
    *,
    motion: Tensor | None = None,
    steps: int = 10,
    seed: int = 0,
    guidance_scale: float = 1.0,
    progress: Callable[[], None] | None = None,
) -> Tensor:
    """Make a portrait speak, with whatever adapters the backbone carries.

    Args:
        backbone: The model.
        portrait: One RGB frame, uint8 (3, height, width) at the base model's size.
        mel: Log-mel windows, one per frame to make, (frames, 20, 80).
        motion: Head motion (frames, 6), or None to leave it to the model.
        steps: Denoising steps.
        seed: Of the start noise, which does not depend on the device.
        guidance_scale: Above 1 follows the sound more.
        progress: Called after each step.

    Returns:
        RGB frames, uint8 (frames, 3, height, width).
    """
    reference = backbone.look_at(portrait.to(backbone.vae.device, backbone.vae.dtype) / 127.5 - 1)
    like = reference.latents
    noise = torch.randn(len(mel), *like.shape[1:], generator=torch.Generator().manual_seed(seed))
    latents = sample_latents(
        backbone,
        reference=reference,
        mel=mel.to(like),
        motion=None if motion is None else motion.to(like),
        noise=noise.to(like),
        steps=steps,
        guidance_scale=guidance_scale,
        progress=progress,
    )
    decoded = torch.cat([backbone.decode(chunk) for chunk in latents.split(32)])
    return ((decoded.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()


@torch.no_grad()
def sample_latents(
    backbone: Backbone,
    *,
    reference: Reference,
    mel: Tensor,
    motion: Tensor | None = None,
    noise: Tensor,
    steps: int = 10,
    guidance_scale: float = 1.0,
    overlap: int = 3,
    batch: int = 8,
    progress: Callable[[], None] | None = None,
) -> Tensor:
    """Denoise a clip of any length with DDIM (Song et al., arXiv 2010.02502; eta = 0).

    The windows' velocities are averaged where they overlap before each step, so neighbours cannot drift apart
    (MultiDiffusion, arXiv 2302.08113, eq. 5); each window sees the reference, so nothing accumulates over time.

    Args:
        backbone: Denoiser with whatever adapters are active.
        reference: The portrait, a batch of one.
        mel: Log-mel windows (frames, 20, 80).
        motion: Head motion (frames, 6), or None to leave it to the model.
        noise: Standard normal start (frames, C, h, w).
        steps: Denoising steps.
        guidance_scale: 1 is none; above 1 follows the sound more (Ho & Salimans, arXiv 2207.12598, eq. 6).
        overlap: Frames that neighbouring windows share.
        batch: Windows denoised at once.
        progress: Called after each step.

    Returns:
        Clean latents (frames, C, h, w).
    """
    scheduler, frames = step_by_velocity(backbone.scheduler), len(mel)
    scheduler.set_timesteps(steps, device=noise.device)
    window = min(backbone.shape.window, frames)
    starts = window_starts(frames, window, min(overlap, window - 1))
    weights = blend_weights(window).to(noise).view(-1, 1, 1, 1)
    windows = [slice(start, start + window) for start in starts]
    groups = [windows[first : first + batch] for first in range(0, len(windows), batch)]
    driven = [_drive(backbone, reference, mel, motion, group) for group in groups]
    latents = noise
    for timestep in scheduler.timesteps:
        velocity, total = torch.zeros_like(latents), torch.zeros_like(weights[:1]).repeat(frames, 1, 1, 1)
        for group, conditions in zip(groups, driven, strict=True):
            noisy = torch.stack([latents[rows] for rows in group])
            predicted = _guided(backbone, noisy, timestep.expand(len(group)), conditions, guidance_scale)
            for rows, one in zip(group, predicted, strict=True):
                velocity[rows] += weights * one
                total[rows] += weights
        latents = scheduler.step(velocity / total, timestep, latents).prev_sample
        if progress is not None:
            progress()
    return latents


def _drive(
    backbone: Backbone, reference: Reference, mel: Tensor, motion: Tensor | None, windows: list[slice]
) -> Conditions:
    """Return the conditions of some windows of a clip; they are the same at every step."""
    count = len(windows)
    parts = [part.expand(count, *part.shape[1:]) for part in vars(reference).values()]
    known = torch.full((count,), float(motion is not None)).to(mel)
    moves = mel.new_zeros(len(mel), MOTION_CHANNELS) if motion is None else motion
    cut = [torch.stack([track[rows] for rows in windows]) for track in (mel, moves)]
    return backbone.conditions(Reference(*parts), *cut, known)


def _guided(backbone: Backbone, z_t: Tensor, timestep: Tensor, conditions: Conditions, scale: float) -> Tensor:
    velocity = backbone.predict(z_t, timestep, conditions)
    if scale == 1.0:
        return velocity
    who, sound, moves = conditions.streams
    deaf = backbone.predict(z_t, timestep, replace(conditions, streams=[who, torch.zeros_like(sound), moves]))
    return deaf + scale * (velocity - deaf)
