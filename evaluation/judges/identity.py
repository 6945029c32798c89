"""Who a face is, asked of a network that nothing was ever trained against."""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.judges.pictures import as_signed, cut_out

CENTRE = (0.5, 0.48)
"""Where a head rests in its frame: x and y as fractions of width and height."""

SIDE = 0.75
"""Side of the square that is looked at, as a fraction of the frame."""

OVAL = (0.82, 0.96)
"""Half width and half height of what is left of that square, in halves of it."""


class JudgeEncoder(ModelMixin, ConfigMixin):
    """Convolutional face encoder that sees an oval around the head and nothing else.

    A generator copies backgrounds and clothes from its reference, and could please a judge that looks at them. The
    base model's own encoder (`lightning_modules.identity`) sees the whole frame, and generators are trained with it:
    this one has other layers, another seed and other augmentations, and serves scoring alone.
    """

    name = "identity judge (local)"
    local = True

    @register_to_config
    def __init__(self, channels: tuple[int, ...] = (16, 32, 56, 80), embedding_dim: int = 64, size: int = 48) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2 if number else 1, padding=1), nn.GroupNorm(8, after), nn.SiLU()
            )
            for number, (before, after) in enumerate(pairwise((3, *channels)))
        )
        self.project = nn.Linear(2 * channels[-1], embedding_dim)
        self.register_buffer("oval", draw_oval(size), persistent=False)

    def trunk(self, pictures: Tensor) -> list[Tensor]:
        """Return what every block makes of pictures (batch, 3, height, width) in [-1, 1] of any size, first to last."""
        maps = []
        for block in self.blocks:
            pictures = block(pictures)
            maps.append(pictures)
        return maps

    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames (batch, 3, height, width) in [-1, 1] as unit vectors (batch, embedding_dim)."""
        return self.recognise(self.cut_faces(frames))

    def cut_faces(self, frames: Tensor) -> Tensor:
        """Return the square around the head of frames, (batch, 3, size, size)."""
        return cut_out(frames, CENTRE, SIDE, self.config.size)

    def recognise(self, squares: Tensor) -> Tensor:
        """Embed such squares."""
        last = self.trunk(squares * self.oval)[-1].flatten(2)
        return F.normalize(self.project(torch.cat([last.mean(-1), last.amax(-1)], dim=-1)), dim=-1)

    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        """Return unit vectors (frames, embedding_dim) of uint8 frames (frames, 3, height, width)."""
        return torch.cat([self(as_signed(part, self.device)) for part in frames.split(128)]).cpu()


def draw_oval(size: int, scale: Tensor | float = 1.0) -> Tensor:
    """Return 1 inside the oval, made larger by `scale`, and 0 outside, (size, size), with an edge three pixels soft."""
    places = (torch.arange(size) + 0.5) / size * 2 - 1
    radius = ((places / OVAL[0])[None, :].square() + (places / OVAL[1])[:, None].square()).sqrt()
    return ((scale - radius) * size / 3).sigmoid()
