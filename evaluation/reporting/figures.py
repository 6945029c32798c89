"""Means and intervals as a picture: a panel per metric, a row per system, a dot per person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from evaluation.catalogue import find_metric
from evaluation.statistics import Estimate
from evaluation.table import Table

PANEL = 270
"""Width of a panel's scale, pixels."""
LABELS = 280
"""Width of the names of systems, pixels."""
ROW = 24
"""Height of a system's row, pixels."""
HEADER = 62
"""Height of a panel's title, pixels."""
GAP = 30
"""Between panels, pixels."""
MARGIN = 24
"""Around all of them, pixels."""
COLUMNS = 3
INK, GREY, LIGHT, MEAN = "#202124", "#8a8f98", "#d5d9de", "#1a56a8"


@dataclass(frozen=True)
class Scale:
    """Where values lie on a panel."""

    low: float
    high: float
    left: float

    @classmethod
    def over(cls, values: Sequence[float], left: float) -> Scale:
        """Return a scale that holds all values, with room at both ends."""
        low, high = min(values), max(values)
        room = 0.06 * (high - low) or 0.5
        return cls(low - room, high + room, left)

    def place(self, value: float) -> float:
        """Return the x of a value, pixels."""
        return self.left + (value - self.low) / (self.high - self.low) * PANEL


def draw_intervals(table: Table, metrics: Sequence[str]) -> Image.Image:
    """Return the picture of some metrics, RGB: dark dots are means with their interval, light ones are people.

    Where there are three people or fewer there is no interval to draw.
    """
    systems = table.systems
    height = HEADER + ROW * len(systems) + GAP
    bands = -(-len(metrics) // COLUMNS)
    size = (LABELS + COLUMNS * (PANEL + GAP) + MARGIN, bands * height + MARGIN)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for number, metric in enumerate(metrics):
        band, column = divmod(number, COLUMNS)
        top, left = MARGIN + band * height, LABELS + column * (PANEL + GAP)
        if not column:
            for row, system in enumerate(systems):
                draw.text((LABELS - 12, top + HEADER + ROW * (row + 0.5)), system, INK, _font(14), anchor="rm")
        _draw_panel(draw, table, metric, left, top)
    return page


def _draw_panel(draw: ImageDraw.ImageDraw, table: Table, metric: str, left: float, top: float) -> None:
    cells = {row: table.mean(system, metric) for row, system in enumerate(table.systems)}
    drawn = {row: cell for row, cell in cells.items() if cell is not None and not np.isnan(cell.mean)}
    better = find_metric(metric).better
    draw.text((left, top), metric, INK, _font(16))
    draw.text((left + PANEL, top + 3), f"{better} is better" if better else "", GREY, _font(13), anchor="ra")
    if not drawn:
        draw.text((left, top + HEADER), "does not apply here", GREY, _font(14))
        return
    scale = Scale.over([value for cell in drawn.values() for value in _extent(cell)], left)
    _draw_axis(draw, scale, top + HEADER - 6, ROW * len(cells) + 6)
    for row, cell in drawn.items():
        _draw_estimate(draw, cell, scale, top + HEADER + ROW * (row + 0.5))


def _extent(cell: Estimate) -> list[float]:
    sides = [] if cell.low is None else [cell.low, cell.high]
    return [cell.mean, *sides, *cell.people.values()]


def _draw_axis(draw: ImageDraw.ImageDraw, scale: Scale, top: float, height: float) -> None:
    step = _round_step((scale.high - scale.low) / 4)
    for index in range(int(np.ceil(scale.low / step)), int(np.floor(scale.high / step)) + 1):
        x = scale.place(index * step)
        draw.line((x, top, x, top + height), LIGHT, 1)
        draw.text((x, top - 2), f"{index * step:.6g}", GREY, _font(12), anchor="ms")


def _round_step(step: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10 ** np.floor(np.log10(step))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * step))


def _draw_estimate(draw: ImageDraw.ImageDraw, cell: Estimate, scale: Scale, y: float) -> None:
    for value in cell.people.values():
        _draw_dot(draw, scale.place(value), y, 2, GREY)
    if cell.low is not None:
        draw.line((scale.place(cell.low), y, scale.place(cell.high), y), MEAN, 3)
    _draw_dot(draw, scale.place(cell.mean), y, 5, MEAN)


def _draw_dot(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: str) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
