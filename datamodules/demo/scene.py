"""What surrounds a demo person's head: the background, and neck, shoulders and clothes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from datamodules.demo.person import Person, blend
from datamodules.demo.sketch import Sketch

MARGIN = 0.12  # of the frame on each side: a shaky camera sees past the edges


def draw_background(person: Person, side: int) -> Image.Image:
    """Draw the backdrop of a frame of `side` pixels, with a margin around it."""
    first, second = person.background_colours
    whole = round(side * (1 + 2 * MARGIN))
    image = Image.new("RGB", (whole, whole), first)
    draw = ImageDraw.Draw(image)
    if person.background == "gradient":
        ramp = np.linspace(0, 1, whole)[:, None, None] * (np.array(second) - first) + first
        return Image.fromarray(np.broadcast_to(ramp, (whole, whole, 3)).astype(np.uint8))
    if person.background == "stripes":
        step = side / 5
        for index in range(0, 8, 2):
            draw.rectangle((index * step, 0, (index + 1) * step, whole), fill=second)
    if person.background == "dots":
        step = side / 4.5
        for row in range(7):
            for column in range(7):
                x, y = (column + 0.5 * (row % 2)) * step, row * step
                draw.ellipse((x - step / 4, y - step / 4, x + step / 4, y + step / 4), fill=second)
    if person.background == "hills":
        draw.ellipse((-0.4 * whole, 0.5 * whole, 0.7 * whole, 1.6 * whole), fill=second)
        draw.ellipse((0.3 * whole, 0.6 * whole, 1.5 * whole, 1.8 * whole), fill=blend(first, second, 0.6))
        draw.ellipse((0.7 * whole, 0.1 * whole, 0.9 * whole, 0.3 * whole), fill=(255, 240, 170))
    return image


def draw_body(sketch: Sketch) -> None:
    """Draw neck, shoulders and clothes; they follow half of the head's shift and none of its turn."""
    person, pose = sketch.person, sketch.pose
    sway = np.array(pose.sway)
    base = 0.5 * (np.array(pose.shift) - sway) + sway
    cloth, detail = person.clothes_colours
    shadow = blend(person.skin, (110, 40, 20), 0.28)
    neck = np.array([[-0.19, 0.4], [0.19, 0.4], [0.2, 0.85], [-0.2, 0.85]])
    right = np.array([[0.86, 1.5], [0.72, 0.86], [0.5, 0.77], [0.2, 0.7], [0.1, 0.8]])
    shoulders = np.concatenate([right, right[::-1] * (-1, 1)])
    if person.clothes == "hoodie":
        hood = np.array([[-0.42, 0.55], [0.42, 0.55], [0.55, 0.9], [-0.55, 0.9]])
        sketch.fill(hood + base, blend(cloth, (0, 0, 0), 0.25))
    sketch.fill(neck + base, shadow)
    sketch.fill(shoulders + base, cloth)
    if person.clothes == "striped":
        for y in (0.86, 0.97):
            band = np.array([[-0.73, y], [0.73, y], [0.75, y + 0.045], [-0.75, y + 0.045]])
            sketch.fill(band + base, detail)
    if person.clothes == "collar":
        for side in (-1, 1):
            flap = np.array([[0.21, 0.68], [0.3, 0.76], [0.14, 0.94], [0.0, 0.84]]) * (side, 1)
            sketch.fill(flap + base, detail)
    if person.clothes == "hoodie":
        for side in (-1, 1):
            string = np.array([[0.13, 0.8], [0.12, 1.0]]) * (side, 1)
            sketch.line(string + base, detail, 0.03)
