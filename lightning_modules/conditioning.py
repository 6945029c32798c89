"""What drives a face: tokens of sound, identity and head motion, for decoupled cross-attention.

Each condition is a stream of its own beside the text stream (IP-Adapter, arXiv 2308.06721, eq. 5). A condition that is
absent is a stream of zeros: its keys and values have no bias, so it adds nothing to the attention's output.
"""

from __future__ import annotations

import torch
from diffusers import UNetMotionModel
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

MOTION_CHANNELS = 6
"""yaw, pitch, roll (units of 30 degrees), shift x, shift y (fraction of half the frame), blink (0 open, 1 closed)."""

STREAM_TOKENS = (4, 5, 4)
"""Tokens of identity, sound and head motion in each frame."""


class AudioTokens(ModelMixin, ConfigMixin):
    """One token per video frame of a 5-frame window of sound, in order of time.

    Args:
        mel_bands: Features of each step in time: mel bands, or those of a speech model.
        channels: Width.
        num_tokens: Video frames of a window.
        token_dim: Width of a token.
        strides: Their product is the steps to a video frame: four of log-mel windows, two of a speech model.
    """

    @register_to_config
    def __init__(
        self,
        mel_bands: int = 80,
        channels: int = 128,
        num_tokens: int = 5,
        token_dim: int = 64,
        strides: tuple[int, int] = (2, 2),
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(mel_bands, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, stride=strides[0], padding=1),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, stride=strides[1], padding=1),
            nn.SiLU(),
            nn.Conv1d(channels, token_dim, 1),
        )
        self.norm = nn.LayerNorm(token_dim)
        self.position = nn.Parameter(0.02 * torch.randn(num_tokens, token_dim))

    def forward(self, sound: Tensor) -> Tensor:
        """Turn windows of sound (batch, frames, steps, features) into tokens (batch, frames, 5, dim).

        They are log-mel windows, 20 x 80 and about [-1, 1], or those of a `speech.SpeechEncoder`.
        """
        tokens = self.layers(sound.flatten(0, 1).transpose(1, 2)).transpose(1, 2)
        return (self.norm(tokens) + self.position).unflatten(0, sound.shape[:2])


class IdentityTokens(ModelMixin, ConfigMixin):
    """Tokens of a face embedding; the same for every frame."""

    @register_to_config
    def __init__(self, embedding_dim: int = 128, num_tokens: int = 4, token_dim: int = 64) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.project = nn.Linear(embedding_dim, num_tokens * token_dim)
        self.norm = nn.LayerNorm(token_dim)

    def forward(self, embedding: Tensor) -> Tensor:
        """Turn unit embeddings (batch, embedding_dim) into tokens (batch, tokens, dim)."""
        return self.norm(self.project(embedding).unflatten(-1, (self.num_tokens, -1)))


class MotionTokens(ModelMixin, ConfigMixin):
    """Tokens of head pose, shift and blink of each frame; never of the mouth, which sound alone drives."""

    @register_to_config
    def __init__(self, frequencies: int = 3, channels: int = 128, num_tokens: int = 4, token_dim: int = 64) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.register_buffer("scales", torch.pi * 2.0 ** torch.arange(frequencies), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(MOTION_CHANNELS * (1 + 2 * frequencies), channels),
            nn.SiLU(),
            nn.Linear(channels, num_tokens * token_dim),
        )
        self.norm = nn.LayerNorm(token_dim)

    def forward(self, motion: Tensor) -> Tensor:
        """Turn motion (batch, frames, 6) into tokens (batch, frames, tokens, dim)."""
        phase = (motion.unsqueeze(-1) * self.scales.to(motion)).flatten(-2)
        features = torch.cat([motion, phase.sin(), phase.cos()], dim=-1)
        return self.norm(self.layers(features).unflatten(-1, (self.num_tokens, -1)))


def install_streams(unet: UNetMotionModel, num_tokens: tuple[int, ...]) -> None:
    """Give every spatial cross-attention one extra key/value stream per condition (diffusers' IP-Adapter processor).

    Must come before weights are loaded: diffusers drops `to_k_ip` and `to_v_ip` with a mere warning otherwise.
    """
    processors = dict(unet.attn_processors)
    for name in processors:
        if name.endswith("attn2.processor") and "motion_modules" not in name:
            attention = unet.get_submodule(name.removesuffix(".processor"))
            processors[name] = IPAdapterAttnProcessor2_0(
                hidden_size=attention.inner_dim,
                cross_attention_dim=attention.cross_attention_dim,
                num_tokens=num_tokens,
            )
    unet.set_attn_processor(processors)
