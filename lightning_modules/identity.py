"""Who a face is: a small encoder whose embedding is close for frames of one person and far for others."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.downsampling import downsampling
from lightning_modules.resizing import resize


class IdentityEncoder(ModelMixin, ConfigMixin):
    """Convolutional face encoder, trained in stage 0 to tell public people apart."""

    @register_to_config
    def __init__(self, channels: tuple[int, ...] = (32, 64, 96, 128), embedding_dim: int = 128, size: int = 64) -> None:
        super().__init__()
        self.blocks = downsampling(channels)
        self.project = nn.Linear(channels[-1] * 2, embedding_dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames (batch, 3, height, width) in [-1, 1] as unit vectors (batch, embedding_dim)."""
        frames = resize(frames, self.config.size)
        features = self.blocks(frames).flatten(2)
        pooled = features.mean(-1), features.amax(-1)
        return F.normalize(self.project(torch.cat(pooled, dim=-1)), dim=-1)
