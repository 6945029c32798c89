"""Where the points of a face are."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.judges.pictures import as_signed, resize

POINTS = (
    "left eye, outer corner",
    "left eye, inner corner",
    "right eye, inner corner",
    "right eye, outer corner",
    "nose",
    "mouth, left corner",
    "mouth, right corner",
    "mouth, upper lip",
    "mouth, lower lip",
    "chin",
)
"""Left and right are those of the picture. A lip's point is the middle of its inner edge: together they tell how far
the mouth is open."""


class LandmarkNet(ModelMixin, ConfigMixin):
    """A small U-Net that draws one heat map per point; the point is the map's centre of mass, finer than a pixel.

    It learned the drawn demo people alone. On real faces its points are guesses, as nobody has measured them there.
    """

    name = "landmark judge (local)"
    local = True
    points = POINTS

    @register_to_config
    def __init__(self, channels: tuple[int, ...] = (16, 32, 40), size: int = 64) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.down_fine = _block(3, fine, stride=2)
        self.down_middle = _block(fine, middle, stride=2)
        self.down_coarse = nn.Sequential(_block(middle, coarse, stride=2), _block(coarse, coarse))
        self.up_middle = _block(coarse + middle, 24)
        self.up_fine = _block(24 + fine, fine)
        self.draw = nn.Conv2d(fine, len(POINTS), 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return x and y, (batch, points, 2) in [0, 1] of width and height, of frames in [-1, 1] of any size."""
        fine = self.down_fine(resize(frames, self.config.size))
        middle = self.down_middle(fine)
        up = self.up_middle(torch.cat([_double(self.down_coarse(middle)), middle], dim=1))
        return centres_of_mass(self.draw(self.up_fine(torch.cat([_double(up), fine], dim=1))))

    @torch.no_grad()
    def locate(self, frames: Tensor) -> Tensor:
        """Return x and y as fractions of the frame, (frames, points, 2), of uint8 (frames, 3, height, width)."""
        return torch.cat([self(as_signed(part, self.device)) for part in frames.split(128)]).cpu()


def centres_of_mass(maps: Tensor) -> Tensor:
    """Return x and y, (batch, points, 2) in [0, 1], of the soft-max of maps (batch, points, height, width)."""
    weights = maps.flatten(2).softmax(dim=-1).view_as(maps)
    rows, columns = ((torch.arange(n, device=maps.device) + 0.5) / n for n in maps.shape[-2:])
    return torch.stack([weights.sum(dim=2) @ columns, weights.sum(dim=3) @ rows], dim=-1)


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.GroupNorm(8, after), nn.SiLU())


def _double(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2, mode="bilinear")
