"""Reads the picture that is to speak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.clips import UnusableFile
from datamodules.cropping import Crop, crop_portrait


def read_picture(path: str | Path) -> Tensor:
    """Read a picture upright, as a camera's orientation tag says, on white where it is transparent.

    Returns:
        RGB in 0..255, uint8 `(3, height, width)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture or is broken.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no picture {path}.")
    try:
        with Image.open(path) as stored:
            picture = ImageOps.exif_transpose(stored).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = UnusableFile.because("it is no picture or it is broken", error)
        raise ValueError(f"{path} cannot be read: {reason}.") from error
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def crop_to_face(picture: Tensor, size: int, crop: Crop, name: str) -> Tensor:
    """Bring a picture, uint8 `(3, height, width)`, to `(3, size, size)`; one of that size is taken whole.

    Raises:
        ValueError: a face is wanted and none is found.
    """
    try:
        return crop_portrait(picture, size, crop, name)
    except UnusableFile as error:
        raise ValueError(
            f"{name} cannot be used: {error}. Choose a picture that shows a face from the front, or pass `--crop none` "
            "for its centre square."
        ) from error
