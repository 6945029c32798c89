"""Reads head motion off a frame, so that a portrait's own pose is known."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from lightning_modules.conditioning import MOTION_CHANNELS
from lightning_modules.downsampling import downsampling
from lightning_modules.resizing import resize


class PoseReader(ModelMixin, ConfigMixin):
    """Convolutional regressor, trained in stage 0; meaningless for a base trained without known head motion."""

    @register_to_config
    def __init__(self, channels: tuple[int, ...] = (16, 32, 48, 64), size: int = 64) -> None:
        super().__init__()
        self.blocks = downsampling(channels)
        side = size // 2 ** len(channels)
        self.project = nn.Linear(channels[-1] * side**2, MOTION_CHANNELS)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the motion (batch, 6) of frames (batch, 3, height, width) in [-1, 1], within [-1, 1].

        Units are those of `conditioning.MOTION_CHANNELS`.
        """
        frames = resize(frames, self.config.size)
        return torch.tanh(self.project(self.blocks(frames).flatten(1)))
