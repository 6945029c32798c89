"""Stand-ins for the networks of FID, KID, LPIPS and FVD, taken from the trunks of the judges.

They order systems on the same clips. Their values cannot be compared with published ones, so metrics by them have names
of their own: FID-local, KID-local, LPIPS-local, FVD-local.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.audio import WINDOW_FRAMES
from evaluation.judges.identity import JudgeEncoder
from evaluation.judges.pictures import as_signed, resize
from evaluation.judges.sync import SyncNet

SIZE = 64
"""Pixels per side of the whole frame that the trunk sees."""

CLIP_FRAMES = 16
"""Frames of a clip for FVD, as is usual with I3D."""


class FrameFeatures(nn.Module):
    """Features of single whole frames, for FID and KID: the mean of every channel after every block of the face judge.

    The early blocks notice blur and grain, the late ones what faces look like.
    """

    name = "trunk of the identity judge (local)"
    local = True

    def __init__(self, judge: JudgeEncoder) -> None:
        super().__init__()
        self.judge = judge
        self.num_features = sum(judge.config.channels)

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Return features (frames, num_features) of uint8 frames (frames, 3, height, width)."""
        parts = []
        for part in frames.split(128):
            maps = self.judge.trunk(resize(as_signed(part, self.judge.device), SIZE))
            parts.append(torch.cat([block.mean(dim=(2, 3)) for block in maps], dim=-1))
        return torch.cat(parts).cpu()


class PatchDistance(nn.Module):
    """Distance of two pictures over the face judge's trunk, called as torchmetrics calls its networks of LPIPS.

    Zhang et al. 2018 (arXiv 1801.03924), equation 1, with all weights 1: nobody's opinion of similarity went into it.
    """

    name = "trunk of the identity judge (local)"
    local = True

    def __init__(self, judge: JudgeEncoder) -> None:
        super().__init__()
        self.judge = judge

    @torch.no_grad()
    def forward(self, first: Tensor, second: Tensor, normalize: bool = False) -> Tensor:
        """Return distances (batch, 1, 1, 1) of pictures in [0, 1] if `normalize`, else in [-1, 1]."""
        maps = [self.judge.trunk(2 * pictures - 1 if normalize else pictures) for pictures in (first, second)]
        distances = [
            (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1, keepdim=True).mean(dim=(2, 3), keepdim=True)
            for a, b in zip(*maps, strict=True)
        ]
        return torch.stack(distances).sum(0)


class MouthMotion(nn.Module):
    """Features of clips of 16 frames, for FVD: mean and deviation of the SyncNet's view of every five frames in them.

    It looks at the mouth's square alone: what the rest of the frame does is for other metrics to notice.
    """

    name = "mouths of the SyncNet (local)"
    local = True

    def __init__(self, judge: SyncNet) -> None:
        super().__init__()
        self.judge = judge

    def embed_clip(self, frames: Tensor) -> Tensor:
        """Return a vector for every 16 frames in a row, (windows, features), of uint8 (frames, 3, height, width)."""
        seen = self.judge.embed_frames(frames)
        windows = seen.unfold(0, CLIP_FRAMES - WINDOW_FRAMES + 1, 1)
        return torch.cat([windows.mean(-1), windows.std(-1)], dim=-1)
