"""Side-by-side videos: the recorded clip and what systems made of it, under their names, with the sound."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from datamodules.video import write_video
from evaluation.cases import Case

WIDTH = 192
"""About the width of one system's frames, pixels; they are magnified a whole number of times, without smoothing."""

FONT = 14
"""Size of the letters, pixels."""

LINE = 18
"""Height of a line of text, pixels."""

LINES = 2
"""Of a name, at most."""


def save_videos(folder: Path, cases: Sequence[Case], made: Mapping[str, Sequence[Tensor]]) -> list[Path]:
    """Write `<person>/<clip>.mp4` for every case, one system beside the other in the order given; return the paths.

    The videos are for looking at: no figure is ever taken from them.
    """
    paths = []
    for number, case in enumerate(cases):
        shown = {system: clips[number] for system, clips in made.items()}
        path = folder / case.person / f"{case.name}.mp4"
        write_video(path, side_by_side(shown), waveform=case.waveform, crf=14)
        paths.append(path)
    return paths


def side_by_side(shown: Mapping[str, Tensor]) -> Tensor:
    """Return the frames of all systems beside each other below their names, uint8 (frames, 3, height, width)."""
    columns = []
    for system, frames in shown.items():
        times = max(1, WIDTH // frames.shape[-1])
        large = F.interpolate(frames.float(), scale_factor=times, mode="nearest").to(torch.uint8)
        name = draw_name(system, large.shape[-1]).expand(len(frames), -1, -1, -1)
        columns.append(torch.cat([name, large], dim=2))
    return torch.cat(columns, dim=3)


def draw_name(name: str, width: int) -> Tensor:
    """Return a name on white, uint8 (3, height, width)."""
    font = ImageFont.load_default(FONT)
    letters = int(width / font.getlength("n"))
    page = Image.new("RGB", (width, LINE * LINES + 4), "white")
    text = "\n".join(textwrap.wrap(name, letters)[:LINES])
    ImageDraw.Draw(page).text((width / 2, 2), text, "black", font, anchor="ma", align="center", spacing=2)
    return torch.from_numpy(np.array(page)).permute(2, 0, 1)
