"""LSE-C and LSE-D: how well a SyncNet thinks that mouth and sound belong together, and at which offset."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MAX_OFFSET = 15
"""Frames by which sound and picture are shifted against each other, either way."""

LEAST_OVERLAP = 10
"""Windows that must overlap for an offset to count."""


@dataclass(frozen=True)
class Sync:
    """What a SyncNet says of one clip, in its own units of distance."""

    confidence: float
    """LSE-C: median over offsets of the mean distance, less the smallest; higher is better."""
    distance: float
    """LSE-D: the smallest mean distance over offsets; lower is better."""
    offset: float
    """Where it is smallest, frames: positive where the picture follows the sound. 0 is in sync."""


def lip_sync(pictures: Tensor, sounds: Tensor) -> Sync:
    """Compare the embeddings of windows of five frames (windows, E) with those of the sound (windows, E).

    After Chung & Zisserman 2016 and Prajwal et al. 2020, 25 frames a second. Windows beyond the ends of the clip are
    left out; they fill them with zeros. Both figures trust the network: what it says of the recording itself
    belongs beside them. Clips too short for three offsets score NaN.
    """
    windows = len(pictures)
    reach = min(MAX_OFFSET, windows - LEAST_OVERLAP)
    if reach < 1:
        return Sync(*[float("nan")] * 3)
    distances = torch.cdist(pictures.double(), sounds.double())
    offsets = sorted(range(-reach, reach + 1), key=abs)
    means = torch.stack([distances.diagonal(-offset).mean() for offset in offsets])
    least = means.argmin()
    return Sync((means.median() - means[least]).item(), means[least].item(), float(offsets[least]))
