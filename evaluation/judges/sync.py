"""Whether a mouth belongs to a sound: a small SyncNet."""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.audio import MEL_BANDS, MEL_STEPS, WINDOW_FRAMES
from evaluation.judges.pictures import as_signed, cut_out

CENTRE = (0.5, 0.67)
"""Middle of the square that holds the mouth in whatever pose: x and y as fractions of width and height."""

SIDE = 0.5
"""Its side, as a fraction of the frame."""


class SyncNet(ModelMixin, ConfigMixin):
    """Two encoders, of five frames of a mouth and of the sound under them, that meet in one space of unit vectors.

    After Chung & Zisserman, "Out of time: automated lip sync in the wild" (2016), with log-mel windows for MFCCs, 64
    pixels for 224 and about 1 % of the weights. Distances lie in [0, 2], so that LSE-C and LSE-D by this network
    compare with each other and not with published ones.
    """

    name = "SyncNet (local)"
    local = True

    @register_to_config
    def __init__(
        self,
        mouth_channels: tuple[int, ...] = (24, 40, 56, 64),
        sound_channels: tuple[int, ...] = (48, 64, 64),
        embedding_dim: int = 64,
        size: int = 32,
    ) -> None:
        super().__init__()
        mouth, sound = (3 * WINDOW_FRAMES, *mouth_channels), (MEL_BANDS, *sound_channels)
        self.mouth = nn.Sequential(
            *(_layer(nn.Conv2d, *pair, stride=2 if number else 1) for number, pair in enumerate(pairwise(mouth))),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * mouth[-1], embedding_dim),
        )
        self.sound = nn.Sequential(
            *(_layer(nn.Conv1d, *pair, stride=2 if number else 1) for number, pair in enumerate(pairwise(sound))),
            nn.Flatten(),
            nn.Linear(-(-MEL_STEPS // 2 ** (len(sound_channels) - 1)) * sound[-1], embedding_dim),
        )
        # CLIP's temperature (arXiv 2103.00020): learned, as nobody knows how sharply a mouth tells its sound.
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def see(self, frames: Tensor) -> Tensor:
        """Embed five frames in a row, (batch, 3, 5, height, width) in [-1, 1], as unit vectors (batch, dim)."""
        return self.see_mouths(self.cut_mouths(frames))

    def cut_mouths(self, frames: Tensor) -> Tensor:
        """Return the mouth's square of five frames in a row, (batch, 15, size, size)."""
        return cut_out(frames.flatten(1, 2), CENTRE, SIDE, self.config.size)

    def see_mouths(self, squares: Tensor) -> Tensor:
        """Embed such squares."""
        return F.normalize(self.mouth(squares), dim=-1)

    def hear(self, mel: Tensor) -> Tensor:
        """Embed the sound under five frames, the log-mel window (batch, 20, 80) of the middle one, likewise."""
        return F.normalize(self.sound(mel.transpose(1, 2)), dim=-1)

    @torch.no_grad()
    def embed_frames(self, frames: Tensor) -> Tensor:
        """Return one unit vector for every five frames in a row of a clip: (frames - 4, dim).

        Args:
            frames: uint8 (frames, 3, height, width), at least five.
        """
        windows = frames.unfold(0, WINDOW_FRAMES, 1).permute(0, 1, 4, 2, 3)
        return torch.cat([self.see(as_signed(part, self.device)) for part in windows.split(128)]).cpu()

    @torch.no_grad()
    def embed_sound(self, mel: Tensor) -> Tensor:
        """Return a unit vector for the sound under the same frames, (frames - 4, dim), of windows (frames, 20, 80)."""
        margin = WINDOW_FRAMES // 2
        return self.hear(mel[margin : len(mel) - margin].to(self.device)).cpu()


def _layer(kind: type[nn.Module], before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(kind(before, after, 3, stride=stride, padding=1), nn.GroupNorm(8, after), nn.SiLU())
