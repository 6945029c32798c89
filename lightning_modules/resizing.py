"""Brings pictures to the size that an encoder takes, in whatever type they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def resize(pictures: Tensor, size: int) -> Tensor:
    """Return pictures (batch, channels, size, size) of pictures (batch, channels, height, width), of their type.

    Those of 16 bits are scaled in float32: a CPU knows no other way.
    """
    if pictures.shape[-2:] == (size, size):
        return pictures
    wide = pictures.to(torch.promote_types(pictures.dtype, torch.float32))
    return F.interpolate(wide, (size, size), mode="bilinear", antialias=True).to(pictures.dtype)
