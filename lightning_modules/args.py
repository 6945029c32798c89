"""Settings of generation, memory and stage 0; the string under each field is its `--help`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["32", "16", "bf16"]
Details = Literal["decoded", "warped"]
HeadMotion = Literal["auto", "natural", "still", "free"]


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


DEFAULT_MEMORY = MemoryArgs()
"""Saves nothing: all weights are at hand, as they are."""


@dataclass
class Steps:
    """Optimizer steps of each part; no steps leave it as it is."""

    vae: int = 2000
    """Autoencoder, 16 frames each."""
    encoder: int = 1500
    """Face encoder, 64 frames each."""
    pose: int = 1500
    """Reader of head poses, 64 frames each; none where no clip's motion is known."""
    mover: int = 1500
    """What moves a reference as heads move, 32 frames each; none where no clip's motion is known."""
    denoiser: int = 6000
    """Denoiser and the encoders of its conditions, 4 windows each."""
    decoder: int = 1000
    """Decoder alone once more, 16 frames each; latents do not change by it."""

    def __post_init__(self) -> None:
        for name, steps in vars(self).items():
            if steps < 0:
                raise ValueError(f"`--steps.{name}` must be at least 0. Got {steps}.")
