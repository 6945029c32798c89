"""Restores what the autoencoder loses of a face: the moved reference shows it before and after encoding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.backbone import Backbone
from lightning_modules.reference import Reference

ALIKE = 0.1
"""Pixel difference, of [-1, 1], above which a frame and the warped reference are taken to show different things; at .05
and .2 frames gain less (docs/base_model.md)."""


@dataclass(frozen=True)
class MovedReference:
    """The reference laid onto the head motion of some frames, before and after encoding."""

    frames: Tensor
    """About [-1, 1], (frames, 3, H, W)."""
    latents: Tensor
    """(frames, C, h, w)."""
    lost: Tensor | None = None
    """What the autoencoder lost of the still reference, moved alike, (frames, 3, H, W). None: what it loses of the
    moved one is found by decoding that."""

    def cut(self, rows: slice) -> MovedReference:
        """Return that of some of the frames."""
        return MovedReference(self.frames[rows], self.latents[rows], None if self.lost is None else self.lost[rows])


def move_with_details(backbone: Backbone, reference: Reference, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Return a reference laid onto head motion, and what the autoencoder loses of it, (batch, frames, 3, H, W) each.

    The loss is the still reference's, moved along: one frame is decoded in place of every one.
    """
    movement = backbone.mover.follow(reference.frame, reference.motion, motion)
    return movement.show(), movement.carry(reference.frame - backbone.decode(reference.latents))


@torch.no_grad()
def restore_details(backbone: Backbone, frames: Tensor, moved: MovedReference) -> Tensor:
    """Return decoded frames (n, 3, H, W), about [-1, 1], with what the autoencoder lost of the moved reference.

    A frame that the denoiser made has lost the same edges and small patterns, as it went through the same decoder. They
    are restored where it shows what the moved reference shows: not in an open mouth, say, if the portrait's is shut.
    """
    shown = moved.frames.to(frames)
    rebuilt = backbone.decode(moved.latents) if moved.lost is None else shown - moved.lost.to(frames)
    apart = F.avg_pool2d((frames - rebuilt).square().mean(1, keepdim=True), 3, 1, 1)
    return frames + torch.exp(-apart / (2 * ALIKE**2)) * (shown - rebuilt)
