"""The mouth of the demo people: where its lips are in a pose, and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.demo.person import Person, blend
from datamodules.demo.sketch import Pose, Sketch

# The mouth's own magenta: far from every skin, hair, lip and cloth, so that `mouth.mouth_opening` can read it.
CAVITY, TONGUE, TEETH = (104, 6, 62), (232, 92, 138), (252, 250, 244)
ACROSS = np.linspace(-1, 1, 15)
"""Places from one corner of the mouth to the other."""
BOW = np.sqrt(np.maximum(1 - ACROSS**2, 0))


@dataclass(frozen=True)
class Mouth:
    """The inner edges of the lips seen from the front, in units of half the frame from the head's middle."""

    half: float
    """Half the width from corner to corner."""
    gap: float
    """How far the lips are apart in the middle."""
    middle: np.ndarray
    """Height of the line where closed lips meet, at each place of `ACROSS`."""
    top: np.ndarray
    """Height of the upper lip's edge."""
    bottom: np.ndarray
    """Height of the lower lip's edge."""


def shape_mouth(person: Person, pose: Pose) -> Mouth:
    """Return the mouth in a pose; the opening is 30 % up and 70 % down."""
    gap = 0.36 * pose.opening
    middle = 0.33 - person.smile * ACROSS**2
    half = person.mouth_width * (1 + 0.28 * pose.width)
    return Mouth(half, gap, middle, middle - 0.3 * gap * BOW, middle + 0.7 * gap * BOW)


def draw_mouth(sketch: Sketch) -> None:
    """Draw lips around a dark interior with upper teeth and a tongue."""
    person, pose = sketch.person, sketch.pose
    mouth = shape_mouth(person, pose)
    half, top, bottom = mouth.half, mouth.top, mouth.bottom
    lip = person.lip_thickness * (1 - 0.25 * pose.width) * (0.35 + 0.65 * BOW)

    def place(heights: np.ndarray, width: float) -> np.ndarray:
        return np.stack([ACROSS * width, heights], 1)

    def between(upper: np.ndarray, lower: np.ndarray, width: float) -> np.ndarray:
        return sketch.on_face(np.concatenate([place(upper, width), place(lower, width)[::-1]]))

    sketch.fill(between(top - lip, bottom + 1.25 * lip, half + 0.02), person.lips)
    if mouth.gap < 0.02:
        sketch.line(sketch.on_face(place(mouth.middle, half)), blend(person.lips, (40, 16, 8), 0.65), 0.022)
        return
    sketch.fill(between(top, bottom, half), CAVITY)
    open_by = bottom - top
    tongue = bottom - 0.38 * open_by * np.maximum(1 - (1.3 * ACROSS) ** 2, 0)
    sketch.fill(between(tongue, bottom, half), TONGUE)
    sketch.fill(between(top, top + 0.24 * open_by, half * 0.86), TEETH)
