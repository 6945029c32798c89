"""A contact sheet: one row per kind of frames, a few moments of a few people side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

LABELS = 92
"""Width of the column of names, pixels."""


def save_sheet(path: str | Path, rows: Mapping[str, Sequence[Tensor]], moments: int = 4) -> None:
    """Write a PNG of 256 colours, which keeps it small.

    Args:
        path: Where to.
        rows: For each kind, the frames of each person, uint8 (frames, 3, height, width).
        moments: Frames of each person, evenly spaced.
    """
    strips = [torch.cat([_strip(frames, moments) for frames in kind], dim=2) for kind in rows.values()]
    picture = torch.cat(strips, dim=1).permute(1, 2, 0).contiguous().numpy()
    sheet = Image.new("RGB", (picture.shape[1] + LABELS, picture.shape[0]), "white")
    sheet.paste(Image.fromarray(picture), (LABELS, 0))
    draw, height = ImageDraw.Draw(sheet), strips[0].shape[1]
    for number, name in enumerate(rows):
        draw.text((4, (number + 0.5) * height), name, fill="black", anchor="lm")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(256).save(path, optimize=True)


def _strip(frames: Tensor, moments: int) -> Tensor:
    chosen = torch.linspace(0, len(frames) - 1, moments).round().long()
    return torch.cat(list(frames[chosen]), dim=2)
