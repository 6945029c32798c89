"""From noise to frames: windows that overlap, agree at every step, and all hold on to the one reference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone


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
    frame = portrait.to(backbone.vae.device, backbone.vae.dtype)[None] / 127.5 - 1
    reference = backbone.encode(frame)[0]
    noise = torch.randn(len(mel), *reference.shape, generator=torch.Generator().manual_seed(seed))
    latents = sample_latents(
        backbone,
        reference=reference,
        identity=backbone.embed(frame)[0],
        mel=mel.to(reference),
        motion=None if motion is None else motion.to(reference),
        noise=noise.to(reference),
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
    reference: Tensor,
    identity: Tensor,
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
        reference: Latents of the portrait (C, h, w).
        identity: Embedding of the portrait (E,).
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
    scheduler, frames = backbone.scheduler, len(mel)
    scheduler.set_timesteps(steps, device=noise.device)
    window = min(backbone.shape.window, frames)
    starts = window_starts(frames, window, min(overlap, window - 1))
    weights = blend_weights(window).to(noise).view(-1, 1, 1, 1)
    motion_windows = torch.zeros(frames, 6).to(mel) if motion is None else motion
    known = torch.full((batch,), float(motion is not None)).to(mel)
    latents = noise
    for timestep in scheduler.timesteps:
        velocity, total = torch.zeros_like(latents), torch.zeros_like(weights[:1]).repeat(frames, 1, 1, 1)
        for first in range(0, len(starts), batch):
            group = starts[first : first + batch]
            rows = [slice(start, start + window) for start in group]
            moved = torch.stack([motion_windows[row] for row in rows])
            sound = torch.stack([mel[row] for row in rows])
            conditions = backbone.conditions(identity.expand(len(group), -1), sound, moved, known[: len(group)])
            predicted = _guided(
                backbone,
                torch.stack([latents[row] for row in rows]),
                timestep.expand(len(group)),
                reference.expand(len(group), -1, -1, -1),
                conditions,
                guidance_scale,
            )
            for row, one in zip(rows, predicted, strict=True):
                velocity[row] += weights * one
                total[row] += weights
        latents = scheduler.step(velocity / total, timestep, latents).prev_sample
        if progress is not None:
            progress()
    return latents


def _guided(backbone: Backbone, z_t: Tensor, timestep: Tensor, reference: Tensor, conditions, scale: float) -> Tensor:
    velocity = backbone.predict(z_t, timestep, reference, conditions)
    if scale == 1.0:
        return velocity
    text, (who, sound, moves) = conditions
    deaf = backbone.predict(z_t, timestep, reference, (text, [who, torch.zeros_like(sound), moves]))
    return deaf + scale * (velocity - deaf)
