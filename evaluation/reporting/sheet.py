"""A contact sheet: one row per kind of frames, a few moments of a few people side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from whole_files import whole_file

MARGIN = 4
"""Around the names, pixels."""


def save_sheet(path: str | Path, rows: Mapping[str, Sequence[Tensor]], moments: int = 4) -> None:
    """Write a PNG of 256 colours, which keeps it small, by one rename.

    Args:
        path: Where to.
        rows: For each kind, the frames of each person, uint8 (frames, 3, height, width).
        moments: Frames of each person, evenly spaced.
    """
    strips = [torch.cat([_strip(frames, moments) for frames in kind], dim=2) for kind in rows.values()]
    picture = torch.cat(strips, dim=1).permute(1, 2, 0).contiguous().numpy()
    font = ImageFont.load_default()
    labels = round(max(font.getlength(name) for name in rows)) + 2 * MARGIN
    sheet = Image.new("RGB", (picture.shape[1] + labels, picture.shape[0]), "white")
    sheet.paste(Image.fromarray(picture), (labels, 0))
    draw = ImageDraw.Draw(sheet)
    height = strips[0].shape[1]
    for number, name in enumerate(rows):
        draw.text((MARGIN, (number + 0.5) * height), name, fill="black", font=font, anchor="lm")
    save_picture(path, sheet.quantize(256))


def save_picture(path: str | Path, picture: Image.Image) -> None:
    """Write a PNG; its folder is made if missing."""
    with whole_file(path) as partial:
        picture.save(partial, format="PNG", optimize=True)


def _strip(frames: Tensor, moments: int) -> Tensor:
    chosen = torch.linspace(0, len(frames) - 1, moments).round().long()
    return torch.cat(list(frames[chosen]), dim=2)
