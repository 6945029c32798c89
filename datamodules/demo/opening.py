"""Reads how far a demo person's mouth is open off the picture: one fixed function for truth, VAE and model."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = (0.48, 0.92)
COLUMNS = (0.22, 0.78)
# The interior and the tongue are magenta (`mouth.CAVITY`), which nothing else in the picture is.
FLOOR, SCALE = 4.0, 50.0


def mouth_opening(frames: Tensor) -> Tensor:
    """Return the height of the open mouth at its tallest, in fractions of the frame's height, up to an affine map.

    The least of red and blue above green says softly how much of a pixel is the mouth's interior; a column's sum is
    its height, and the mean of the tallest sixteenth of the columns is the answer. It reads the demo people only: for
    real faces the number means nothing.

    Args:
        frames: `(frames, 3, height, width)` RGB, uint8 in [0, 255] or floating point in [0, 1].

    Returns:
        float32 `(frames,)`, 0 for a closed mouth, about 0.12 for a wide open one.
    """
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise ValueError(f"Frames must be (frames, 3, height, width). Got {tuple(frames.shape)}.")
    pixels = frames.float() if frames.dtype == torch.uint8 else frames.float() * 255
    height, width = frames.shape[-2:]
    rows, columns = (slice(round(a * n), round(b * n)) for (a, b), n in ((ROWS, height), (COLUMNS, width)))
    red, green, blue = pixels[:, :, rows, columns].unbind(1)
    inside = ((torch.minimum(red, blue) - green - FLOOR) / SCALE).clamp(0, 1)
    heights = inside.sum(dim=1) / height
    return heights.topk(max(1, round(width / 16)), dim=1).values.mean(dim=1)
