"""Reads the picture that is to speak, or takes it from a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.clips import UnusableFile
from datamodules.reading.cropping import Crop, crop_portrait
from datamodules.reading.decoding import decode_frames
from datamodules.reading.layouts import SUFFIXES
from datamodules.reading.video_stream import probe_video


def read_picture(path: str | Path) -> Tensor:
    """Read a picture, or a video's first frame, upright, as the camera says, on white where it is transparent.

    Returns:
        RGB in 0..255, uint8 `(3, height, width)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is neither or is broken, or does not say which of its numbers is white.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no picture {path}.")
    try:
        return _read_first_frame(path) if path.suffix.lower() in SUFFIXES else _read_picture(path)
    except UnusableFile as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _read_first_frame(path: Path) -> Tensor:
    (frame,) = next(decode_frames(probe_video(path), np.array([0])))
    return frame


def _read_picture(path: Path) -> Tensor:
    try:
        with Image.open(path) as stored:
            picture = _to_8_bit(ImageOps.exif_transpose(stored), stored.format).convert("RGBA")
    except UnusableFile:
        raise
    except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:  # AVIF's
        reason = "it is no picture or it is broken"
        if path.suffix.lower() in (".heic", ".heif"):
            reason = "it is in a format that is not read; save it as JPEG or PNG"
        raise UnusableFile.because(reason, error) from error
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _to_8_bit(picture: Image.Image, file_format: str | None) -> Image.Image:
    """Scale grey pictures of more than 8 bits to 8: `convert` clips them, and all that is not black becomes white.

    Raises:
        UnusableFile: If the picture has 32 bits or floats, whose white is not written in the file.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture
    # Pillow keeps the 16 bits of these formats, scaled to 0..65535, in 32.
    if picture.mode.startswith("I;16") or (picture.mode == "I" and file_format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))
    kind = "floats" if picture.mode == "F" else "32-bit numbers"
    raise UnusableFile(f"it holds {kind}, and which of them is white is not known; save it with 8 or 16 bits")


def crop_to_face(picture: Tensor, size: int, crop: Crop, name: str) -> Tensor:
    """Bring a picture, uint8 `(3, height, width)`, to `(3, size, size)`; one of that size is taken whole.

    Raises:
        ValueError: If a face is wanted and none is found.
    """
    try:
        return crop_portrait(picture, size, crop, name)
    except UnusableFile as error:
        raise ValueError(
            f"{name} cannot be used: {error}. Choose a picture that shows a face from the front, or pass `--crop none` "
            "for its centre square."
        ) from error
