"""Hair and hats of the demo people."""

from __future__ import annotations

import numpy as np

from datamodules.demo.person import blend
from datamodules.demo.sketch import Sketch

HATS = ("beanie", "cap", "straw hat", "party hat")
CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 25)), np.sin(np.linspace(0, 2 * np.pi, 25))], axis=1)
DOME = np.stack([np.cos(np.linspace(-np.pi, 0, 17)), np.sin(np.linspace(-np.pi, 0, 17))], axis=1)
BRIM = -0.42  # height of a hat's brim, in units of half the frame from the head's middle
RED, YELLOW = (214, 52, 40), (250, 214, 70)
# Hairlines as (x, y) in units of the head's half width and half height, from its left temple to its right one.
# fmt: off
HAIRLINES = {
    "short": [(-0.97, -0.12), (-0.84, -0.42), (-0.5, -0.6), (0, -0.64), (0.5, -0.6), (0.84, -0.42), (0.97, -0.12)],
    "parted": [(-0.97, -0.05), (-0.88, -0.36), (-0.62, -0.66), (-0.38, -0.8),
               (0.1, -0.56), (0.62, -0.42), (0.97, -0.05)],
    "fringe": [(-0.98, 0.02), (-0.86, -0.4), (-0.45, -0.45), (-0.15, -0.41), (0.15, -0.46),
               (0.45, -0.41), (0.86, -0.4), (0.98, 0.02)],
    "bob": [(-1.0, 0.3), (-0.84, 0.1), (-0.8, -0.3), (-0.4, -0.5), (0, -0.54),
            (0.45, -0.48), (0.8, -0.3), (0.84, 0.1), (1.0, 0.3)],
    "long": [(-1.0, 0.3), (-0.88, 0.0), (-0.66, -0.45), (0.0, -0.82), (0.66, -0.45), (0.88, 0.0), (1.0, 0.3)],
    "curly": [(-0.97, -0.1), (-0.8, -0.4), (-0.4, -0.56), (0, -0.6), (0.4, -0.56), (0.8, -0.4), (0.97, -0.1)],
    "spiky": [(-0.97, -0.12), (-0.8, -0.5), (-0.5, -0.5), (-0.3, -0.66), (0, -0.5),
              (0.3, -0.66), (0.5, -0.5), (0.8, -0.5), (0.97, -0.12)],
    "bun": [(-0.97, -0.12), (-0.8, -0.5), (-0.4, -0.7), (0, -0.74), (0.4, -0.7), (0.8, -0.5), (0.97, -0.12)],
}
# fmt: on


def draw_back_hair(sketch: Sketch) -> None:
    """Draw what hangs or stands behind the head."""
    person = sketch.person
    width, height = person.head
    dark = blend(person.hair, (0, 0, 0), 0.22)
    lean = np.array([-0.1 * sketch.pose.yaw, 0.0])
    if person.hair_style == "long":
        right = np.array([[1.16, 1.45], [1.24, 0.5], [1.2, -0.3]]) * (width, height)
        sketch.fill(sketch.flat(np.concatenate([right[::-1] * (-1, 1), right]) + lean), dark)
    if person.hair_style in ("long", "bob"):
        sketch.fill(sketch.flat(CIRCLE * (width + 0.14, height * 0.98) + (0, -0.02) + lean), dark)
    if person.hair_style == "bob":
        bob = np.array([[-1.27, 0.0], [-1.24, 0.72], [1.24, 0.72], [1.27, 0.0]]) * (width, height)
        sketch.fill(sketch.flat(bob + lean), dark)
    if person.hair_style == "bun" and not set(HATS) & set(person.features):
        sketch.fill(sketch.flat(CIRCLE * 0.2 + (0, -height - 0.12)), person.hair)
        sketch.fill(sketch.flat(CIRCLE * 0.1 + (-0.04, -height - 0.15)), blend(person.hair, (255, 240, 210), 0.18))
    if person.hair_style == "curly":
        for angle in np.linspace(0.9 * np.pi, 2.1 * np.pi, 11):
            centre = np.array([np.cos(angle) * (width + 0.02), np.sin(angle) * (height - 0.02)])
            sketch.fill(sketch.flat(CIRCLE * 0.17 + centre + lean), dark)


def draw_front_hair(sketch: Sketch) -> None:
    """Draw the cap of hair: from the hairline, which slides with the turn, to above the skull."""
    person = sketch.person
    style = person.hair_style
    if style == "bald":
        return
    width, height = person.head
    line = np.array(HAIRLINES[style]) * (width, height)
    grow = np.full(25, 0.06)
    if style == "spiky":
        grow += np.where(np.arange(25) % 3 == 1, 0.16, 0.0) * np.sin(np.linspace(0, np.pi, 25))
    temple = np.arcsin(line[0, 1] / height)
    angles = np.linspace(temple, -np.pi - temple, 25)
    skull = np.stack([np.cos(angles) * (width + grow), np.sin(angles) * (height + grow)], axis=1)
    sketch.fill(np.concatenate([sketch.flat(skull), sketch.on_face(line)]), person.hair)
    if style == "curly":
        for angle in np.linspace(1.05 * np.pi, 1.95 * np.pi, 9):
            centre = np.array([np.cos(angle) * width * 0.86, np.sin(angle) * height * 0.88])
            sketch.fill(sketch.flat(CIRCLE * 0.14 + centre), person.hair)
        return
    shine = np.stack([np.cos(angles[5:10]), np.sin(angles[5:10])], axis=1) * (width * 0.88, height * 0.92)
    sketch.line(sketch.flat(shine * (-1, 1)), blend(person.hair, (255, 240, 210), 0.22), 0.05)


def draw_hat(sketch: Sketch) -> None:
    """Draw a client's hat or headphones; public people have none."""
    for feature in sketch.person.features:
        if feature in _HATS:
            _HATS[feature](sketch)


def _draw_beanie(sketch: Sketch) -> None:
    width, tilt = sketch.person.head[0], _tilt(sketch)
    sketch.fill(sketch.flat(DOME * (width + 0.09, 0.46) + (0, BRIM) + tilt), RED)
    cuff = np.array([[-1, -0.08], [1, -0.08], [1, 0.07], [-1, 0.07]]) * (width + 0.1, 1) + (0, BRIM)
    sketch.fill(sketch.flat(cuff + tilt), YELLOW)
    sketch.fill(sketch.flat(CIRCLE * 0.1 + (0, BRIM - 0.47)), YELLOW)


def _draw_cap(sketch: Sketch) -> None:
    width = sketch.person.head[0]
    sketch.fill(sketch.flat(DOME * (width + 0.07, 0.42) + (0, BRIM) + _tilt(sketch)), (40, 96, 190))
    sketch.fill(sketch.on_face(CIRCLE * (width * 0.8, 0.09), (0, BRIM + 0.03), lift=0.2), (24, 60, 130))
    sketch.fill(sketch.on_face(CIRCLE * 0.09, (0, BRIM - 0.18), lift=0.1), (255, 255, 255))


def _draw_straw_hat(sketch: Sketch) -> None:
    width, tilt = sketch.person.head[0], _tilt(sketch)
    sketch.fill(sketch.flat(DOME * (width * 0.85, 0.44) + (0, BRIM) + tilt), (236, 204, 110))
    sketch.fill(sketch.flat(CIRCLE * (width + 0.32, 0.12) + (0, BRIM) + tilt), (222, 184, 88))
    band = np.array([[-1, -0.14], [1, -0.14], [1, -0.05], [-1, -0.05]]) * (width * 0.82, 1) + (0, BRIM)
    sketch.fill(sketch.flat(band + tilt), (190, 50, 40))


def _draw_party_hat(sketch: Sketch) -> None:
    tilt = _tilt(sketch)
    sketch.fill(sketch.flat(np.array([[-0.3, -0.46], [0.3, -0.46], [0.02, -0.98]]) + tilt), (40, 150, 90))
    stripe = np.array([[-0.2, -0.64], [0.2, -0.64], [0.14, -0.75], [-0.13, -0.75]])
    sketch.fill(sketch.flat(stripe + tilt), YELLOW)
    sketch.fill(sketch.flat(CIRCLE * 0.08 + (0.02, -0.94) + tilt), (240, 80, 50))


def _draw_headphones(sketch: Sketch) -> None:
    width, height = sketch.person.head
    sketch.line(sketch.flat(DOME * (width + 0.1, height + 0.1) + _tilt(sketch)), (48, 50, 56), 0.07)
    for side in (-1, 1):
        pad = np.array([side * (width + 0.06) - 0.12 * sketch.pose.yaw, 0.0])
        sketch.fill(sketch.flat(CIRCLE * (0.12, 0.19) + pad), (48, 50, 56))
        sketch.fill(sketch.flat(CIRCLE * (0.07, 0.12) + pad), (70, 170, 60))


def _tilt(sketch: Sketch) -> np.ndarray:
    return np.array([0.05 * sketch.pose.yaw, 0.0])


_HATS = {
    "beanie": _draw_beanie,
    "cap": _draw_cap,
    "straw hat": _draw_straw_hat,
    "party hat": _draw_party_hat,
    "headphones": _draw_headphones,
}
