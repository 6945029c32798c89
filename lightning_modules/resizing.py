"""Brings pictures to the size that an encoder takes, in whatever type they are."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from lightning_modules.precision import at_least_float32


def resize(pictures: Tensor, size: int) -> Tensor:
    """Return pictures (batch, channels, size, size) of pictures (batch, channels, height, width), of their type.

    Those of 16 bits are scaled in float32: a CPU can do it in no other way.
    """
    if pictures.shape[-2:] == (size, size):
        return pictures
    scaled = F.interpolate(at_least_float32(pictures), (size, size), mode="bilinear", antialias=True)
    return scaled.to(pictures.dtype)
