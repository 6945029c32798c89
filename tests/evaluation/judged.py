"""Judges without weights, which see just enough of a picture to be right or wrong on purpose."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.demo.opening import mouth_opening
from evaluation.protocols import Judges

NAMES = (
    *("left eye, outer corner", "left eye, inner corner", "right eye, inner corner", "right eye, outer corner"),
    *("nose", "mouth, left corner", "mouth, right corner", "mouth, upper lip", "mouth, lower lip", "chin"),
)
PLACES = torch.tensor(
    [
        [0.3, 0.4],
        [0.4, 0.4],
        [0.6, 0.4],
        [0.7, 0.4],
        [0.5, 0.55],
        [0.4, 0.7],
        [0.6, 0.7],
        [0.5, 0.68],
        [0.5, 0.7],
        [0.5, 0.85],
    ]
)


class ColourFace:
    """Tells people by their colours, coarsely placed."""

    name, local = "colours", True

    def embed(self, frames: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(frames / 127.5 - 1, 4).flatten(1)
        return F.normalize(pooled, dim=-1)


class MouthSync:
    """Sees the opening of a demo person's mouth over five frames and hears the loudness of the sound."""

    name, local = "openings", True

    def embed_frames(self, frames: Tensor) -> Tensor:
        return _shape_of(mouth_opening(frames))

    def embed_sound(self, mel: Tensor) -> Tensor:
        return _shape_of(mel[:, 8:12].mean(dim=(1, 2)))


def _shape_of(track: Tensor) -> Tensor:
    windows = track.unfold(0, 5, 1)
    return F.normalize(windows - track.mean(), dim=-1)


class MouthPoints:
    """A still face whose lower lip falls as the mouth opens."""

    name, local, points = "lips", True, NAMES

    def locate(self, frames: Tensor) -> Tensor:
        points = PLACES.repeat(len(frames), 1, 1)
        points[:, NAMES.index("mouth, lower lip"), 1] += mouth_opening(frames)
        return points


class Pooled(nn.Module):
    """Coarse pixels: features of frames, distance of two pictures, features of clips."""

    name, local, num_features = "coarse pixels", True, 12

    def forward(self, first: Tensor, second: Tensor | None = None, normalize: bool = False) -> Tensor:
        if second is not None:
            return (first - second).square().mean(dim=(1, 2, 3), keepdim=True)
        return F.adaptive_avg_pool2d(first / 255, 2).flatten(1)

    def embed_clip(self, frames: Tensor) -> Tensor:
        return self(frames).unfold(0, 16, 1).std(-1)


def tiny_judges() -> Judges:
    """Return one of each."""
    return Judges(ColourFace(), MouthSync(), MouthPoints(), Pooled(), Pooled(), Pooled())
