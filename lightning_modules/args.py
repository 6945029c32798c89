"""Settings of memory; the string under each field is its `--help`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["32", "16", "bf16"]


@dataclass(frozen=True)
class MemoryArgs:
    """What saves memory beside 16 bit: each setting costs some time, the first ones least."""

    windows: int = 8
    """Windows of a video that are denoised at once."""
    vae_slicing: bool = False
    """Encode and decode one frame at a time."""
    park_encoders: bool = False
    """Parts that only encode wait in host memory; encodings are cached, so they are seldom asked for."""
    eight_bit: bool = False
    """Keep the denoiser's frozen weights in 8 bit; each layer computes in what `frozen_dtype` says. Needs
    gradient_checkpointing to help in training."""
    vae_tiling: bool = False
    """Encode and decode large frames in tiles, which may differ slightly where they meet."""
    offload: bool = False
    """The denoiser's frozen weights wait in host memory, and come to the device layer by layer: the last resort."""

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise ValueError(f"`memory.windows` must be at least 1. Got {self.windows}.")
