"""What training does to pictures so that judges also work on frames that a model made, and on heads elsewhere.

Frames from an autoencoder or a denoiser are softer, grainier and of slightly other colours than recorded ones. A judge
that only ever saw recordings would score such traces instead of what it is asked about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SOFTENER = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
"""Binomial blur, of one pixel's deviation."""

ZOOM = 0.12
"""Most that `move` changes the size by, relative."""

SHIFT = 0.1
"""Most that it shifts, in units of half the frame."""

ROLL = math.radians(8)
"""Most that it rolls, in radians."""


def degrade(pictures: Tensor) -> Tensor:
    """Soften, grain and tint every picture (batch, channels, height, width) in [-1, 1] by an amount of its own.

    Half of the grain is as fine as pixels, half is blotches of four pixels, as latents leave. Light and contrast
    change too: they say nothing of who somebody is or what their mouth does.
    """
    blur = _amounts(pictures, 1.0)
    grain = _amounts(pictures, 0.08) * torch.randn_like(pictures)
    height, width = pictures.shape[-2:]
    blotches = torch.randn_like(pictures[..., : -(-height // 4), : -(-width // 4)])
    blotches = _amounts(pictures, 0.08) * F.interpolate(blotches, (height, width), mode="bilinear")
    light = 0.1 * torch.randn_like(pictures[:, :1, :1, :1])
    contrast = 1 + 0.15 * torch.randn_like(light)
    return (pictures + blur * (soften(pictures) - pictures)) * contrast + light + grain + blotches


def soften(pictures: Tensor) -> Tensor:
    """Blur pictures (batch, channels, height, width) by about one pixel."""
    channels = pictures.shape[1]
    for shape, padding in (((1, 5), (2, 2, 0, 0)), ((5, 1), (0, 0, 2, 2))):
        kernel = SOFTENER.to(pictures).view(1, 1, *shape).expand(channels, -1, -1, -1)
        pictures = F.conv2d(F.pad(pictures, padding, mode="replicate"), kernel, groups=channels)
    return pictures


@dataclass(frozen=True)
class Moved:
    """Pictures zoomed, rolled and shifted, and how."""

    pictures: Tensor
    """(batch, channels, height, width)."""
    back: Tensor
    """Where each place came from: (batch, 2, 3), from places in [-1, 1] of the new picture to those of the old."""

    def carry(self, points: Tensor) -> Tensor:
        """Return where points of the old pictures, (batch, points, 2) in [0, 1], are in the new ones."""
        turn, shift = self.back[:, :, :2], self.back[:, :, 2]
        moved = torch.linalg.solve(turn, (points * 2 - 1 - shift[:, None]).transpose(1, 2)).transpose(1, 2)
        return (moved + 1) / 2


def move(pictures: Tensor) -> Moved:
    """Zoom, roll and shift every picture (batch, channels, height, width) at random; edges go on past the border."""
    draw = 2 * torch.rand(4, len(pictures), device=pictures.device) - 1
    scale, angle = 1 + ZOOM * draw[0], ROLL * draw[1]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    turn = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], dim=1)
    back = torch.cat([turn, SHIFT * draw[2:].T[..., None]], dim=-1)
    grid = F.affine_grid(back, list(pictures.shape), align_corners=False)
    return Moved(F.grid_sample(pictures, grid, padding_mode="border", align_corners=False), back)


def _amounts(pictures: Tensor, most: float) -> Tensor:
    """Draw one amount per picture, (batch, 1, 1, 1) in [0, `most`]; a quarter of the pictures get none."""
    drawn = torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
    return most * ((drawn - 0.25) / 0.75).clamp_min(0)
