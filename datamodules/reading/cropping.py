"""The square around a face, found once per clip.

insightface's detector is used where its model lies on disk, else scikit-image's cascade. The cascade sees frontal faces
only, and takes a dog's face for one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.clips import UnusableFile

Crop = Literal["auto", "face", "none"]

INSIGHTFACE_MODELS = Path("~/.insightface/models")
"""Where insightface keeps its packs. Nothing is ever downloaded: without a detector here, scikit-image searches."""

MARGIN = 1.7
"""Side of the crop in widths of the face."""

SEARCH_SIDE = 320
"""Longer side of the picture that the cascade searches, in pixels."""

SMALLEST_FACE = 24
"""Side of the cascade's window, in pixels: in less it finds nothing, and of a few it cannot list its scales."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Box:
    """A square of a picture, in pixels."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Face:
    """What a detector found, in pixels."""

    centre_x: float
    centre_y: float
    width: float

    def holds(self, other: Face) -> bool:
        """Whether the other's centre lies in this one."""
        half = self.width / 2
        return abs(self.centre_x - other.centre_x) < half and abs(self.centre_y - other.centre_y) < half


def crop_box(frames: Tensor | Sequence[Tensor], mode: Crop, name: str = "a clip", fallback: Box | None = None) -> Box:
    """Choose one square for a clip from a few of its frames.

    Args:
        frames: uint8 `(frames, 3, height, width)`, or one frame `(3, height, width)`.
        mode: `none` takes the centre square, `face` the face's, `auto` the face's and else the centre square.
        name: Of the clip, for messages.
        fallback: Where `auto` finds no face, the square to take, e.g. that of the clip before.

    Raises:
        UnusableFile: If `mode` is `face` and there is none.
        ValueError: On another mode.
    """
    if mode not in get_args(Crop):
        raise ValueError(f"`--crop` must be one of {', '.join(get_args(Crop))}. Got {mode!r}.")
    frames = [frames] if isinstance(frames, Tensor) and frames.ndim == 3 else list(frames)
    height, width = frames[0].shape[-2:]
    if mode == "none":
        return centre_box(height, width)
    found = [face for face in (_largest_face(frame, name) for frame in frames) if face]
    if found:
        x, y, w = np.median([(face.centre_x, face.centre_y, face.width) for face in _one_persons(found)], axis=0)
        return _square(height, width, x, y, MARGIN * w)
    if mode == "face":
        raise UnusableFile("no face was found")
    if fallback is not None:
        log.warning("No face was found in a part of %s; the square from before is kept there.", name)
        return fallback
    log.warning("No face was found in %s; its centre square is taken.", name)
    return centre_box(height, width)


def _one_persons(found: Sequence[Face]) -> list[Face]:
    """Return those of several looks' faces that are where one of them is: the middle between two people is nobody."""
    x, y = np.median([(face.centre_x, face.centre_y) for face in found], axis=0)
    one = min(found, key=lambda face: (round(np.hypot(face.centre_x - x, face.centre_y - y)), -face.width))
    return [face for face in found if one.holds(face)]


def centre_box(height: int, width: int) -> Box:
    """Return the largest square in the middle."""
    return _square(height, width, width / 2, height / 2, min(height, width))


def crop_and_resize(frames: Tensor, box: Box, size: int) -> Tensor:
    """Cut the square out of uint8 `(n, 3, height, width)` and scale it to `(n, 3, size, size)`, anti-aliased."""
    square = frames[:, :, box.top : box.top + box.side, box.left : box.left + box.side]
    if box.side == size:
        return square.contiguous()
    scaled = functional.interpolate(square, (size, size), mode="bicubic", antialias=True)  # in bytes, as Pillow does
    return scaled.contiguous()


def crop_portrait(picture: Tensor, size: int, mode: Crop = "auto", name: str = "the portrait") -> Tensor:
    """Bring a portrait, uint8 `(3, height, width)`, to `(3, size, size)`; one already of that size is taken whole.

    Raises:
        UnusableFile: If `mode` is `face`, or `auto` with a detector at work, and there is no face.
    """
    if picture.shape[-2:] == (size, size):
        return picture
    box = crop_box(picture, "face" if mode == "auto" else mode, name)
    return crop_and_resize(picture[None], box, size)[0]


def _square(height: int, width: int, x: float, y: float, side: float) -> Box:
    side = int(min(max(round(side), 2), height, width))
    left = min(max(round(x - side / 2), 0), width - side)
    top = min(max(round(y - side / 2), 0), height - side)
    return Box(int(left), int(top), side)


def _largest_face(frame: Tensor, name: str) -> Face | None:
    faces: list[Face] = []
    for face in sorted(_detector()(frame), key=lambda face: -face.width):
        if not any(larger.holds(face) for larger in faces):  # a detector may find one face at several scales
            faces.append(face)
    if len(faces) > 1:
        log.warning("%d faces were found in %s; the largest is taken.", len(faces), name)
    return faces[0] if faces else None


def name_detector() -> str:
    """Return the file of insightface's detector, `cascade` where there is none."""
    return str(next(iter(_list_models()), "cascade"))


def _list_models() -> list[Path]:
    return sorted(INSIGHTFACE_MODELS.expanduser().glob("*/det_*.onnx"))


@cache
def _detector() -> Callable[[Tensor], list[Face]]:
    if not (models := _list_models()):
        return _search_with_cascade
    try:
        from insightface.model_zoo import get_model
    except ImportError:
        log.warning("insightface cannot be imported, though %s is there; scikit-image finds the faces.", models[0])
        return _search_with_cascade
    model = get_model(str(models[0]))
    model.prepare(ctx_id=-1, input_size=(640, 640), det_thresh=0.5)

    def search(frame: Tensor) -> list[Face]:
        boxes, _ = model.detect(np.ascontiguousarray(frame.permute(1, 2, 0).numpy()[:, :, ::-1]))
        return [Face((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0)) for x0, y0, x1, y1, _ in boxes]

    return search


@cache
def _cascade() -> object:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _search_with_cascade(frame: Tensor) -> list[Face]:
    scale = min(1.0, SEARCH_SIDE / max(frame.shape[-2:]))
    height, width = (max(1, round(side * scale)) for side in frame.shape[-2:])
    if min(height, width) < SMALLEST_FACE:
        return []
    small = functional.interpolate(frame[None].float(), (height, width), mode="bilinear", antialias=True)[0]
    least, most = min(height, width) // 6, min(height, width)
    picture = small.permute(1, 2, 0).round().to(torch.uint8).numpy()
    hits = _cascade().detect_multi_scale(
        picture, scale_factor=1.1, step_ratio=1, min_size=(least, least), max_size=(most, most)
    )
    return [
        Face((hit["c"] + hit["width"] / 2) / scale, (hit["r"] + hit["height"] / 2) / scale, hit["width"] / scale)
        for hit in hits
    ]
