"""Whether frames move as the truth does: frame-to-frame change, and warping along the truth's optical flow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from skimage.registration import optical_flow_tvl1
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)

WARPS, ITERATIONS = 3, 5
"""Of TV-L1: a third of the time of skimage's own choice, and as small an error on the recorded clip."""


def change_error(frames: Tensor, target: Tensor) -> float:
    """Return the mean absolute difference of frame-to-frame changes, in levels of 255, of uint8 frames.

    The mean change alone would be perfect for a still picture; here a still picture scores the whole true change.
    """
    return (frames.float().diff(dim=0) - target.float().diff(dim=0)).abs().mean().item()


def change_ratio(frames: Tensor, target: Tensor) -> float:
    """Return how much frames change from one to the next, relative to a target: 0 stands still, above 1 flickers."""
    true_change = target.float().diff(dim=0).abs().mean()
    if true_change < 1e-6:
        return float("nan")
    return (frames.float().diff(dim=0).abs().mean() / true_change).item()


@dataclass(frozen=True)
class Flow:
    """Where the pixels of each frame are in the next one."""

    vectors: Tensor
    """x and y in pixels, (frames - 1, height, width, 2)."""
    visible: Tensor
    """Whether the pixel is seen in the next frame at all, bool (frames - 1, height, width)."""


def find_flow(frames: Tensor) -> Flow:
    """Return the optical flow of uint8 frames (TV-L1, Zach et al. 2007), without what is hidden in the next frame.

    A pixel is visible if the flow back from where it went returns it (Ruder et al. 2016, eq. 5), and if that lies in
    the frame.
    """
    grey = np.tensordot(frames.float().numpy() / 255, np.array(LUMA, np.float32), axes=(1, 0))
    forth = _flow_between(grey[:-1], grey[1:])
    back = _flow_between(grey[1:], grey[:-1])
    returned = _sample(back.permute(0, 3, 1, 2), forth).permute(0, 2, 3, 1)
    lost = (forth + returned).square().sum(-1)
    allowed = 0.01 * (forth.square().sum(-1) + returned.square().sum(-1)) + 0.5
    return Flow(forth, (lost < allowed) & _inside(forth))


def warping_error(frames: Tensor, flow: Flow) -> float:
    """Return 1,000 x the mean squared difference of each frame and the next one warped back, frames in [0, 1].

    E_warp of Lai et al., "Learning Blind Video Temporal Consistency" (2018, eq. 11), over visible pixels, along the
    flow of the *ground truth*. It notices flicker, noise and motion that is not the truth's. It hardly notices a still
    picture, whose large even areas look the same wherever they are read, and flow knows no shading, blinks or opening
    mouths, so that the truth does not score 0 either: read it beside the change ratio and the recorded clip's own.
    """
    pictures = frames.float() / 255
    error = (_sample(pictures[1:], flow.vectors) - pictures[:-1]).square().mean(dim=1)
    return 1_000 * error[flow.visible].mean().item()


def _flow_between(first: np.ndarray, second: np.ndarray) -> Tensor:
    """Return vectors (pairs, height, width, 2) in the order x, y; skimage gives rows first."""
    find = partial(optical_flow_tvl1, num_warp=WARPS, num_iter=ITERATIONS)
    pairs = [find(one, other)[::-1] for one, other in zip(first, second, strict=True)]
    return torch.from_numpy(np.stack(pairs)).float().permute(0, 2, 3, 1)


def _targets(vectors: Tensor) -> Tensor:
    """Return where pixels go, in [-1, 1] from the first pixel's centre to the last one's."""
    height, width = vectors.shape[1:3]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([columns, rows], dim=-1) + vectors
    return places / torch.tensor([width - 1, height - 1]) * 2 - 1


def _inside(vectors: Tensor) -> Tensor:
    return (_targets(vectors).abs() <= 1).all(-1)


def _sample(pictures: Tensor, vectors: Tensor) -> Tensor:
    """Return pictures (pairs, channels, height, width) read where the vectors point."""
    return F.grid_sample(pictures, _targets(vectors), padding_mode="border", align_corners=True)
