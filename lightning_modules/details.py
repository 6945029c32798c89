"""Gives back what the autoencoder loses of a face: the moved reference shows it before and after encoding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.backbone import Backbone
from lightning_modules.reference import Reference

ALIKE = 0.1
"""Difference of pixels in [-1, 1] at which a frame and the moved reference rather show different things; at .05 and .2
frames gain less (docs/base_model.md)."""


@dataclass(frozen=True)
class Details:
    """What the autoencoder loses of a clip's moved references, and where its frames need it.

    A frame that the denoiser made has lost the same edges and small patterns, as it went through the same decoder. They
    are given back where it shows what the moved reference shows: not to an open mouth, say, if the portrait's is shut.
    """

    backbone: Backbone
    reference: Reference
    motion: Tensor
    """Head motion of the clip's frames (frames, 6)."""

    @classmethod
    def of(cls, backbone: Backbone, portrait: Tensor, motion: Tensor | None) -> Details | None:
        """Return the details of a portrait, RGB uint8 (3, H, W), on head motion (frames, 6).

        None where no motion is known, and for bases without a mover: their copies are too rough.
        """
        if motion is None or backbone.mover is None:
            return None
        reference = backbone.look_at(portrait)
        return cls(backbone, reference, motion.to(reference.frame))

    @torch.no_grad()
    def give_back(self, frames: Tensor, first: int) -> Tensor:
        """Return decoded frames (n, 3, H, W), about [-1, 1], with their details; the first is this one of the clip."""
        motion = self.motion[first : first + len(frames)]
        moved = self.backbone.move(self.reference, motion.unsqueeze(0))[0].to(frames)
        rebuilt = self.backbone.decode(self.backbone.encode(moved))
        apart = F.avg_pool2d((frames - rebuilt).square().mean(1, keepdim=True), 3, 1, 1)
        return frames + torch.exp(-apart / (2 * ALIKE**2)) * (moved - rebuilt)
