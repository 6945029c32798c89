"""Lays a reference onto a pose as people's heads really move: learned corrections to the one rough ellipsoid."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.conditioning import MOTION_CHANNELS
from lightning_modules.head_motion import SURFACE_CHANNELS, face_surface, find_sources, sample

FOLD = 2
"""Pixels per side folded into channels: the network works at half the frame's size."""
REACH = 0.2
"""How far a point moves, in halves of the frame, where the network answers 1."""
RARELY = -3.0
"""Added to the share that is painted, before the sigmoid: at first nearly everything is taken from the reference."""


@dataclass(frozen=True)
class Movement:
    """How a reference moves to each frame; tensors have a row for every frame of every clip."""

    clips: tuple[int, int]
    """Number of clips, and of frames of each."""
    reference: Tensor
    """(rows, 3, H, W)."""
    sources: Tensor
    """Which place of the reference each place shows, (rows, H, W, 2) in [-1, 1]."""
    painted: Tensor
    """How far each place is painted instead, in [0, 1], (rows, 1, H, W)."""
    paint: Tensor
    """With what, (rows, 3, H, W)."""

    def show(self) -> Tensor:
        """Return the reference, moved: (batch, frames, 3, H, W)."""
        moved = sample(self.reference, self.sources)
        return (moved + self.painted * (self.paint - moved)).unflatten(0, self.clips)

    def carry(self, pictures: Tensor) -> Tensor:
        """Return pictures (batch, C, H, W) moved alike, (batch, frames, C, H, W); 0 where the reference is painted."""
        rows = pictures.unsqueeze(1).expand(-1, self.clips[1], -1, -1, -1).flatten(0, 1)
        return ((1 - self.painted) * sample(rows, self.sources)).unflatten(0, self.clips)


class HeadMover(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """A small U-Net that says where each pixel of a moved reference comes from, and paints what the reference hides.

    It is given the reference as it is and as `head_motion.lay_on` moves it, the face's surface in both poses and both
    head motions, blinks among them; never the sound, and so never the mouth's opening. Untrained it changes nothing.
    People's own heads differ from all of these: the identity adapter sits on its convolutions, too.

    After Siarohin et al., First Order Motion Model (arXiv 2003.00196), section 3.2: flow and occlusion.
    """

    @register_to_config
    def __init__(self, channels: tuple[int, ...] = (32, 48, 64)) -> None:
        super().__init__()
        given = 2 * 3 * FOLD**2 + 2 * SURFACE_CHANNELS + 2 * MOTION_CHANNELS
        self.enter = nn.Conv2d(given, channels[0], 3, padding=1)
        self.first = Block(channels[0], channels[0])
        self.down = nn.ModuleList(Block(wide, deep, stride=2) for wide, deep in pairwise(channels))
        self.up = nn.ModuleList(Block(deep + wide, wide) for wide, deep in reversed(list(pairwise(channels))))
        self.answer = nn.Conv2d(channels[0], (2 + 1 + 3) * FOLD**2, 3, padding=1)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    @property
    def convolutions(self) -> list[str]:
        """Return the names of all layers that an adapter sits on."""
        return [name for name, layer in self.named_modules() if isinstance(layer, nn.Conv2d)]

    def forward(self, reference: Tensor, own: Tensor, motion: Tensor) -> Tensor:
        """Move a reference frame to where the head of each frame is: (batch, frames, 3, H, W), about [-1, 1].

        Args:
            reference: The reference frame (batch, 3, H, W) in [-1, 1], or one for each frame (batch, frames, 3, H, W);
                height and width are multiples of 8.
            own: The head motion it shows itself (batch, 6), or (batch, frames, 6).
            motion: That of the frames (batch, frames, 6).
        """
        return self.follow(reference, own, motion).show()

    def follow(self, reference: Tensor, own: Tensor, motion: Tensor) -> Movement:
        """Return how a reference frame moves; arguments are those of `forward`."""
        batch, frames = motion.shape[:2]
        if own.ndim == 2:
            reference, own = (one.unsqueeze(1).expand(-1, frames, *one.shape[1:]) for one in (reference, own))
        reference, own, motion = (one.flatten(0, 1) for one in (reference, own, motion))
        sources = find_sources(own, motion.unsqueeze(1), *reference.shape[-2:]).squeeze(1)
        laid = sample(reference, sources)
        flow, paint, change = self._look(reference, laid, own, motion).split([2, 1, 3], dim=1)
        painted = torch.sigmoid(paint + RARELY)
        return Movement((batch, frames), reference, sources + REACH * flow.movedim(1, -1), painted, laid + change)

    def _look(self, reference: Tensor, laid: Tensor, own: Tensor, motion: Tensor) -> Tensor:
        """Return for each pixel the flow (2), how far it is painted (1), and the change of colour there (3)."""
        height, width = (side // FOLD for side in reference.shape[-2:])
        surfaces = [face_surface(one.unsqueeze(1), height, width).squeeze(1) for one in (motion, own)]
        motions = torch.cat([motion, own], dim=1)[..., None, None].expand(-1, -1, height, width)
        pictures = [F.pixel_unshuffle(one, FOLD) for one in (laid, reference)]
        given = [one.to(self.enter.weight.dtype) for one in (*pictures, *surfaces, motions)]
        seen = self.first(self.enter(torch.cat(given, dim=1)))
        passed = [seen]
        for block in self.down:
            passed.append(block(passed[-1]))
        seen = passed.pop()
        for block in self.up:
            seen = block(torch.cat([F.interpolate(seen, scale_factor=2.0), passed.pop()], dim=1))
        return F.pixel_shuffle(self.answer(seen), FOLD).to(reference)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int = 1) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(fan_in, fan_out, 1, stride)
        self.first = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1)
        self.second = nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, fan_out) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """Return features (batch, fan_out, h / stride, w / stride) of features (batch, fan_in, h, w)."""
        hidden = self.norms[0](F.silu(self.first(features)))
        return F.silu(self.norms[1](self.second(hidden))) + self.shortcut(features)
