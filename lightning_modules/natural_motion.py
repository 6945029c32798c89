"""Head motion where nobody gives one: slow turns around the portrait's own pose, and blinks."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lightning_modules.args import HeadMotion
from lightning_modules.backbone import Backbone

FRAMES_PER_SECOND = 25
SPREAD = (0.22, 0.10, 0.08, 0.02, 0.012)
"""How far yaw, pitch and roll (units of 30 degrees) and shift (of half the frame) wander, standard deviations."""
FURTHEST = (0.7, 0.4, 0.4, 0.09, 0.07)
"""No head turns further than those the base model has learned from."""
SECONDS_BETWEEN_TURNS = 0.8
SECONDS_BETWEEN_BLINKS = (2.0, 5.0)
LIDS = (0.5, 1.0, 1.0, 0.6, 0.25)
"""A blink, frame by frame."""


@torch.no_grad()
def choose_motion(backbone: Backbone, portrait: Tensor, frames: int, kind: HeadMotion, seed: int) -> Tensor | None:
    """Return the head motion (frames, 6) of a portrait that is to speak, or None to leave it to the model.

    Args:
        backbone: The model; it reads the portrait's own pose.
        portrait: Uint8 (3, height, width) at the model's size.
        frames: How many are to be made.
        kind: natural wanders around the portrait's pose, still keeps it, free leaves it to the model; auto is natural
            where the model knows head motion, and free where it does not.
        seed: Of what is drawn.

    Raises:
        ValueError: If a motion is asked for that the model knows nothing of.
    """
    if kind == "free" or (kind == "auto" and not backbone.shape.knows_motion):
        return None
    demand_known_motion(backbone, f"--head_motion {kind}", "use free")
    frame = portrait.to(backbone.device, backbone.vae.dtype) / 127.5 - 1
    own = backbone.pose(frame[None])[0].cpu().float()
    if kind == "still":
        return torch.cat([own[:5], own.new_zeros(1)]).expand(frames, -1)
    return move_naturally(own, frames, seed)


def demand_known_motion(backbone: Backbone, flag: str, instead: str) -> None:
    """Raise ValueError, with what to do instead, where a flag gives head motion to a model that knows nothing of it."""
    if not backbone.shape.knows_motion:
        raise ValueError(f"`{flag}` needs a base model that has seen known head motion. This one has not; {instead}.")


def move_naturally(own: Tensor, frames: int, seed: int) -> Tensor:
    """Draw head motion (frames, 6) that begins at a portrait's own (6,); the seed alone decides."""
    generator = Generator().manual_seed(seed)
    step = round(SECONDS_BETWEEN_TURNS * FRAMES_PER_SECOND)
    turns = torch.randn(5, frames // step + 3, generator=generator) * torch.tensor(SPREAD)[:, None]
    turns[:, 0] = 0
    smooth = F.interpolate(turns[None], scale_factor=step, mode="linear", align_corners=False)
    smooth = F.avg_pool1d(smooth, step, stride=1)[0, :, :frames]
    around = own[:5].cpu().float()
    limits = torch.tensor(FURTHEST)
    wandering = (around[:, None] + smooth - smooth[:, :1]).clamp(-limits[:, None], limits[:, None])
    return torch.cat([wandering, _blink(frames, generator)[None]]).T


def _blink(frames: int, generator: Generator) -> Tensor:
    shortest, longest = SECONDS_BETWEEN_BLINKS
    lids = torch.zeros(frames + len(LIDS))
    at = 0.0
    while True:
        at += shortest + (longest - shortest) * torch.rand((), generator=generator).item()
        start = round(at * FRAMES_PER_SECOND)
        if start >= frames:
            return lids[:frames]
        lids[start : start + len(LIDS)] = torch.tensor(LIDS)
