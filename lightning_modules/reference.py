"""What the denoiser is given beside the noise: whom to draw, and what drives the face."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lightning_modules.head_motion import SURFACE_CHANNELS


@dataclass(frozen=True)
class Reference:
    """Whom to draw: what is known of one frame of each clip's person."""

    frame: Tensor
    """In [-1, 1], (batch, 3, H, W)."""
    latents: Tensor
    """(batch, C, h, w)."""
    identity: Tensor
    """Unit face embedding (batch, E)."""
    motion: Tensor
    """The head motion that the frame shows, as the model reads it (batch, 6)."""

    @classmethod
    def of_batch(cls, batch: dict[str, Tensor]) -> Reference:
        """Return the reference of a batch of examples, whose `reference_frame` is in [0, 255]."""
        frame = batch["reference_frame"].to(batch["reference"].dtype) / 127.5 - 1
        return cls(frame, batch["reference"], batch["identity"], batch["reference_motion"])


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is given beside the noisy latents."""

    streams: list[Tensor]
    """Tokens of identity, sound and head motion for cross-attention, each with one row per frame (rows, 1, n, dim)."""
    extra_channels: Tensor
    """Channels next to the latents (batch, frames, 2 C + 3, h, w): the reference, the reference moved, the surface."""
    has_motion: Tensor
    """1 where the head motion is known, so that the reference could be moved, (batch,)."""

    @property
    def copy(self) -> Tensor:
        """Return the moved reference's latents (batch, frames, C, h, w), or the reference's where no pose is known."""
        return copied_latents(self.extra_channels)


def copied_latents(extra_channels: Tensor) -> Tensor:
    """Return the moved reference's latents (batch, frames, C, h, w) from the channels that hold them, too."""
    channels = (extra_channels.shape[2] - SURFACE_CHANNELS) // 2
    return extra_channels[:, :, channels : 2 * channels]
