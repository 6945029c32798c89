"""Where the mouth is: placed by the true head motion of demo people, or at a fixed place of a cropped real face."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from datamodules.demo.person import draw_person
from datamodules.demo.seeds import PUBLIC_SEEDS
from datamodules.demo.sketch import Pose, Sketch
from evaluation.metrics.pixels import psnr

AVERAGE_HEAD = (0.535, 0.675)
"""Middle of the range of head widths and heights, in units of half the frame."""

REACH = 5 / 64
"""How far a head is looked for when it is aligned, as a fraction of the frame."""


@dataclass(frozen=True)
class Region:
    """A box on the face of a demo person, which moves with the head and never with the mouth.

    `at` is its centre on the unturned face, in units of half the frame from the head's centre; height and width are
    fractions of the frame.
    """

    at: tuple[float, float]
    height: float
    width: float

    def pixels(self, size: int) -> tuple[int, int]:
        """Return height and width in pixels."""
        return round(self.height * size), round(self.width * size)

    def corners(self, motion: Tensor, size: int) -> list[tuple[int, int]]:
        """Return each frame's top and left, in pixels, from the true motion `(frames, 6)`; always inside the frame."""
        height, width = self.pixels(size)
        person = replace(draw_person(PUBLIC_SEEDS[0]), head=AVERAGE_HEAD)
        corners = []
        for yaw, pitch, roll, x, y, _ in motion.tolist():
            sketch = Sketch(Image.new("RGB", (1, 1)), person, Pose(yaw, pitch, roll, (x, y)))
            centre = (sketch.on_face(np.array([self.at]))[0] + 1) * size / 2
            top, left = round(centre[1] - height / 2), round(centre[0] - width / 2)
            corners.append((min(max(top, 0), size - height), min(max(left, 0), size - width)))
        return corners


MOUTH = Region(at=(0.0, 0.39), height=0.26, width=0.36)
"""Holds a mouth from closed to wide open, and lips, of any demo person."""

EYES = Region(at=(0.0, -0.08), height=0.26, width=0.42)
"""Eyes, brows and nose: what tells where a head is, whatever its mouth does."""

LOWER_CENTRE = (slice(0.56, 0.84), slice(0.28, 0.72))
"""Rows and columns, in fractions of the frame, that hold the mouth of a real face in its square crop."""


def cut(frames: Tensor, corners: list[tuple[int, int]], height: int, width: int) -> Tensor:
    """Cut one box out of each frame: `(frames, 3, height, width)`."""
    boxes = zip(frames, corners, strict=True)
    return torch.stack([frame[:, top : top + height, left : left + width] for frame, (top, left) in boxes])


def aligned_mouth_psnr(frames: Tensor, target: Tensor, motion: Tensor) -> float:
    """Return the PSNR of the mouth's box after each head has been moved to where the target's head truly is, dB.

    The whole-pixel shift is the one that fits eyes and nose best, so the mouth has no say in it. Turns and tilts are
    not undone. For generation without a pose, where pixels of a head elsewhere say little of its mouth.
    """
    size = target.shape[-1]
    reach = round(REACH * size)
    padded = F.pad(frames.float(), (reach,) * 4, mode="replicate")
    tried = {}
    for region in (EYES, MOUTH):
        height, width = region.pixels(size)
        corners = region.corners(motion, size)
        around = cut(padded, corners, height + 2 * reach, width + 2 * reach)
        tried[region] = (
            around.unfold(2, height, 1).unfold(3, width, 1).flatten(2, 3),
            cut(target, corners, height, width),
        )
    shifted, eyes = tried[EYES]
    best = (shifted - eyes.unsqueeze(2)).square().mean(dim=(1, 3, 4)).argmin(dim=1)
    shifted, mouths = tried[MOUTH]
    return psnr(shifted[torch.arange(len(best)), :, best], mouths)


def lower_centre(frames: Tensor) -> Tensor:
    """Cut the fixed mouth region out of frames of a real face that was cropped to a square."""
    rows, columns = (
        slice(round(part.start * side), round(part.stop * side))
        for part, side in zip(LOWER_CENTRE, frames.shape[-2:], strict=True)
    )
    return frames[..., rows, columns]
