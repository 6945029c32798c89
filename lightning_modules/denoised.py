"""Decodes latents to frames, a few at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.details import MovedReference, restore_details

DECODED = 32
"""Frames that are handed on at once at most, and fewer of large ones (`backbone.PIXELS_AT_ONCE`)."""


@dataclass(frozen=True)
class Denoised:
    """Some frames of a clip, ready to be decoded."""

    latents: Tensor
    """(frames, C, h, w)."""
    moved: MovedReference | None
    """What they were copied from, if its details are to be restored."""

    def split(self, most: int) -> Iterator[Denoised]:
        """Yield pieces of about the same length, none of more than `most` frames."""
        frames = len(self.latents)
        length = -(-frames // -(-frames // most))
        for start in range(0, frames, length):
            rows = slice(start, start + length)
            yield Denoised(self.latents[rows], self.moved and self.moved.cut(rows))


@torch.no_grad()
def decode_stream(backbone: Backbone, denoised: Iterable[Denoised]) -> Iterator[Tensor]:
    """Yield RGB frames, uint8 (frames, 3, height, width), with the details that the autoencoder would lose."""
    most = min(DECODED, backbone.frames_at_once)
    for piece in chain.from_iterable(some.split(most) for some in denoised):
        frames = backbone.decode(piece.latents)
        if piece.moved is not None:
            frames = restore_details(backbone, frames, piece.moved)
        yield ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
