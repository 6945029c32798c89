"""Pictures as the judges take them in: signed numbers, and a square cut out around what matters."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_modules.resizing import resize


def as_signed(frames: Tensor, device: torch.device) -> Tensor:
    """Return uint8 frames as floating point in [-1, 1] on a device."""
    return frames.to(device).float() / 127.5 - 1


def cut_out(pictures: Tensor, centre: tuple[float, float], side: float, size: int) -> Tensor:
    """Cut a square out of every picture and scale it.

    Args:
        pictures: (batch, channels, height, width).
        centre: Its x and y, as fractions of width and height.
        side: Its side, as a fraction of the pictures' height and width; it must lie inside the picture.
        size: Pixels per side of what is returned, (batch, channels, size, size).
    """
    rows, columns = (
        slice(round((at - side / 2) * length), round((at + side / 2) * length))
        for at, length in zip(reversed(centre), pictures.shape[-2:], strict=True)
    )
    return resize(pictures[..., rows, columns], size)
