"""What the denoiser starts from: the reference as it was moved, trusted as far as it is usually right."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor


class CopySpread(ModelMixin, ConfigMixin):
    """How far clean latents usually are from the reference's: much at the mouth, next to nothing at the wall behind.

    Measured in stage 0 (`calibration.expect_copies`), never trained.
    """

    @register_to_config
    def __init__(self, channels: int = 8, side: int = 16) -> None:
        super().__init__()
        self.register_buffer("still", torch.ones(channels, side, side))
        self.register_buffer("moved", torch.ones(channels, side, side))

    def forward(self, has_motion: Tensor) -> Tensor:
        """Return the standard deviation (batch, 1, C, h, w); `has_motion` (batch,) is 1 where references are moved."""
        return (self.still + (self.moved - self.still) * has_motion.view(-1, 1, 1, 1)).unsqueeze(1)


def expect_copy(z_t: Tensor, copy: Tensor, a_t: Tensor, s_t: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return the velocity to expect if clean latents were normal around a copy, and how far off it usually is.

    The network then has to learn only what differs from the copy, with unit variance at every time: it cannot smear
    what it has nothing to say about. This is EDM's preconditioning (Karras et al., arXiv 2206.00364, appendix B.6),
    for a mean that is known and a schedule that preserves variance: with z_0 ~ N(copy, spread^2),

        E[v | z_t] = s (a (1 - spread^2) z_t - copy) / (s^2 + spread^2 a^2)
        sd[v | z_t] = spread / sqrt(s^2 + spread^2 a^2)

    Args:
        z_t: Noisy latents (batch, frames, C, h, w).
        copy: What the clean ones are expected to be, same shape.
        a_t: Signal level, (batch, 1, 1, 1, 1).
        s_t: Noise level, (batch, 1, 1, 1, 1).
        spread: Standard deviation of clean latents around the copy, above 0, (batch, 1, C, h, w) or broadcast to that.

    Returns:
        The expected velocity, shaped like `z_t`, and its standard deviation, shaped like `spread`.
    """
    variance = s_t.square() + (spread * a_t).square()
    velocity = s_t * (a_t * (1 - spread.square()) * z_t - copy) / variance
    return velocity, spread / variance.sqrt()
