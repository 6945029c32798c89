"""The trunk of what reads a face off a frame: convolutions, each of which halves height and width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def downsampling(channels: Sequence[int]) -> nn.Sequential:
    """Return layers from pictures (batch, 3, h, w) to features (batch, channels[-1], h / 2^n, w / 2^n), n widths."""
    return nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1), nn.GroupNorm(8, fan_out), nn.SiLU())
            for fan_in, fan_out in pairwise((3, *channels))
        )
    )
