"""Draws a demo person's face: flat shapes on a turning ellipsoid, four times oversampled with Pillow."""

from __future__ import annotations

import numpy as np

from datamodules.demo.hair import draw_back_hair, draw_front_hair, draw_hat
from datamodules.demo.mouth import draw_mouth
from datamodules.demo.person import Person, blend
from datamodules.demo.scene import draw_background, draw_body
from datamodules.demo.sketch import UNIT_CIRCLE, Pose, Sketch

OVERSAMPLING = 4
# Places on the face seen from the front, in units of half the frame from the head's middle.
EYE_HEIGHT = -0.12
NOSE, NOSE_LIFT = (0, 0.085), 0.12


class Portrait:
    """A person ready to be drawn in any pose at one size (pixels, at least 64)."""

    def __init__(self, person: Person, size: int = 64) -> None:
        if size < 64:
            raise ValueError(f"Demo people need at least 64 pixels. Got {size}.")
        self.person, self.size = person, size
        self._background = draw_background(person, size * OVERSAMPLING)

    def render(self, pose: Pose) -> np.ndarray:
        """Draw one frame, uint8 `(size, size, 3)`."""
        side = self.size * OVERSAMPLING
        margin = (self._background.width - side) / 2
        left, top = (round(margin - sway * side / 2) for sway in pose.sway)
        image = self._background.crop((left, top, left + side, top + side))
        sketch = Sketch(image, self.person, pose)
        draw_back_hair(sketch)
        draw_body(sketch)
        _draw_head(sketch)
        _draw_beard(sketch)
        draw_mouth(sketch)
        _draw_nose(sketch)
        for side_of_face in (-1, 1):
            _draw_eye(sketch, side_of_face)
        draw_front_hair(sketch)
        _draw_glasses(sketch)
        draw_hat(sketch)
        return np.asarray(image.reduce(OVERSAMPLING))


def outline(person: Person, pose: Pose, grow: float = 0.0) -> np.ndarray:
    """Return the head's contour `(48, 2)`: a narrowing jaw that drops with the mouth and leans with the turn."""
    width, height = person.head
    below = np.maximum(UNIT_CIRCLE[:, 1], 0)
    x = UNIT_CIRCLE[:, 0] * (width + grow) * (1 - person.jaw * below**2)
    x = x + 0.10 * pose.yaw * below**2
    y = UNIT_CIRCLE[:, 1] * (height + grow) + 0.12 * pose.opening * below**1.5
    return np.stack([x, y], axis=1)


def _draw_head(sketch: Sketch) -> None:
    person = sketch.person
    width = person.head[0]
    dark = blend(person.skin, (120, 40, 20), 0.22)
    for side in (-1, 1):
        # The ear on the far side hides behind the head.
        x = side * (width + 0.03) - 0.16 * sketch.pose.yaw
        for radius, colour in (((0.09, 0.14), person.skin), ((0.05, 0.09), dark)):
            sketch.fill(sketch.flat(np.array([x, 0.02]) + UNIT_CIRCLE * radius), colour)
    sketch.fill(sketch.flat(outline(person, sketch.pose)), person.skin)
    blush = blend(person.skin, (240, 100, 70), 0.3)
    for side in (-1, 1):
        sketch.spot(side * 0.33, 0.2, (0.11, 0.085), blush)
    if "freckles" in person.features:
        brown = blend(person.skin, (110, 50, 10), 0.65)
        for x, y in ((0.2, 0.12), (0.3, 0.2), (0.39, 0.11), (0.27, 0.27), (0.42, 0.22)):
            sketch.spot(x, y, 0.022, brown)
            sketch.spot(-x, y, 0.022, brown)


def _draw_beard(sketch: Sketch) -> None:
    person = sketch.person
    if not person.beard:
        return
    width, height = person.head
    colour = blend(person.skin, person.hair, 0.4) if person.beard == "stubble" else person.hair
    if person.beard in ("full", "stubble"):
        jaw = outline(person, sketch.pose, 0.015 if person.beard == "stubble" else 0.05)[:25]
        right = np.array([[0.86, 0.02], [0.74, 0.2], [0.55, 0.26], [0.32, 0.27]])
        upper = np.concatenate([right * (-1, 1), [[0, 0.26]], right[::-1]]) * (width, 1)
        sketch.fill(np.concatenate([sketch.flat(jaw), sketch.on_face(upper)]), colour)
    if person.beard == "goatee":
        drop = 0.12 * sketch.pose.opening
        sketch.fill(sketch.on_face(UNIT_CIRCLE * 0.17, (0.0, height - 0.1 + drop)), colour)
    if person.beard in ("goatee", "moustache", "full"):
        half = np.array([[0, 0.19], [0.12, 0.18], [0.24, 0.24], [0.3, 0.3], [0.2, 0.32], [0.08, 0.28]])
        sketch.fill(
            sketch.on_face(np.concatenate([half, half[::-1] * (-1, 1)]), lift=0.03), blend(colour, (0, 0, 0), 0.12)
        )


def _draw_nose(sketch: Sketch) -> None:
    person = sketch.person
    shade, light = blend(person.skin, (130, 50, 20), 0.3), blend(person.skin, (255, 255, 255), 0.45)
    size = person.nose
    sketch.spot(0, 0.11, (size * 1.05, size * 0.85), shade, 0.10)
    sketch.spot(*NOSE, (size * 0.95, size * 0.8), blend(person.skin, (240, 120, 80), 0.16), NOSE_LIFT)
    sketch.spot(-0.3 * size, 0.06, (size * 0.3, size * 0.25), light, 0.13)


def _draw_eye(sketch: Sketch, side: int) -> None:
    person, pose = sketch.person, sketch.pose
    x = side * person.eye_gap
    y = EYE_HEIGHT
    radius = person.eye_size
    brow = np.array([[-1, 0.02], [-0.4, -0.05], [0.3, -0.06], [1, 0.0]]) * (0.16, 1.0)
    brow[:, 1] += person.brow_tilt * brow[:, 0] / 0.16
    brow = brow * (side, 1)
    colour = blend(person.hair, (40, 24, 14), 0.35)
    if side == 1 and "patch" in person.features:
        ring = np.array([[-0.8, -0.36], [0, -0.3], [0.82, -0.14]]) * (person.head[0], 1)
        sketch.line(sketch.on_face(ring), (34, 34, 38), 0.035)
        sketch.spot(x, y + 0.01, (0.17, 0.16), (34, 34, 38), 0.02)
        return
    sketch.line(sketch.on_face(brow, (x, y - radius * 1.15 - 0.085)), colour, person.brow_thickness)
    sketch.spot(x, y, (radius * 1.12, radius * 1.2), blend(person.skin, (90, 40, 20), 0.25))
    sketch.spot(x, y, (radius, radius * 1.1), (253, 253, 250))
    gaze = -0.018 * pose.yaw
    sketch.spot(x + gaze, y + 0.012, radius * 0.66, person.eye)
    sketch.spot(x + gaze, y + 0.012, radius * 0.38, (18, 16, 18))
    sketch.spot(x + gaze - 0.3 * radius, y - 0.3 * radius, radius * 0.26, (255, 255, 255))
    if pose.blink > 0.04:
        _draw_lid(sketch, x, y, radius)


def _draw_lid(sketch: Sketch, x: float, y: float, radius: float) -> None:
    s = np.linspace(-1, 1, 13)
    bow = np.sqrt(1 - s**2)
    top = np.stack([s * radius * 1.14, -bow * radius * 1.24], axis=1)
    edge = np.stack([s * radius * 1.14, bow * radius * 1.24 * (2 * sketch.pose.blink - 1)], axis=1)
    lid = blend(sketch.person.skin, (150, 70, 40), 0.14)
    sketch.fill(sketch.on_face(np.concatenate([top, edge[::-1]]), (x, y)), lid)
    sketch.line(sketch.on_face(edge, (x, y)), (46, 28, 20), 0.03)


def _draw_glasses(sketch: Sketch) -> None:
    person = sketch.person
    if not person.glasses:
        return
    corner = 1.0 if person.glasses == "round" else 0.45
    shape = np.sign(UNIT_CIRCLE) * np.abs(UNIT_CIRCLE) ** corner * (0.175, 0.165)
    for side in (-1, 1):
        ring = sketch.on_face(shape, (side * person.eye_gap, -0.1), lift=0.06)
        sketch.line(np.concatenate([ring, ring[:2]]), person.glasses_colour, 0.032)
        temple = np.array([[side * (person.eye_gap + 0.17), -0.12], [side * person.head[0] * 0.99, -0.1]])
        sketch.line(sketch.on_face(temple, lift=0.02), person.glasses_colour, 0.03)
    bridge = np.array([[-person.eye_gap + 0.17, -0.12], [person.eye_gap - 0.17, -0.12]])
    sketch.line(sketch.on_face(bridge, lift=0.06), person.glasses_colour, 0.032)
