"""Draws a suite's figures with Pillow: intervals one under another, and a curve over a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from evaluation.statistics import Estimate

WIDTH, ROW, MARGIN, NAMES, CURVE_HEIGHT = 1000, 30, 24, 400, 460
INK, GREY, SURE, UNSURE = "#202124", "#8a8f98", "#1a56a8", "#8a8f98"


def draw_intervals(path: Path, title: str, rows: Mapping[str, Estimate]) -> None:
    """Draw each mean as a dot and its interval as a line, with a line at 0; those that exclude 0 are blue."""
    names = max([NAMES, *(math.ceil(_font(15).getlength(name)) + MARGIN for name in rows)])  # no line through a name
    width = WIDTH + names - NAMES
    page = Image.new("RGB", (width, 2 * MARGIN + ROW * (len(rows) + 2)), "white")
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, INK, _font(18))
    sides = [side for estimate in rows.values() for side in _sides(estimate)]
    place, low, high = _scale([*sides, 0.0], names + MARGIN, width - 2 * MARGIN)
    top, bottom = MARGIN + ROW, MARGIN + ROW * (len(rows) + 1)
    draw.line((place(0), top, place(0), bottom), GREY, 1)
    for number, (name, estimate) in enumerate(rows.items()):
        y, colour = top + ROW * (number + 0.5), SURE if estimate.excludes_zero else UNSURE
        draw.text((MARGIN, y), name, INK, _font(15), anchor="lm")
        first, last = _sides(estimate)
        draw.line((place(first), y, place(last), y), colour, 3)
        _draw_dot(draw, place(estimate.mean), y, colour)
    far = [value for value in (low, high) if abs(place(value) - place(0)) > 2 * MARGIN]
    for value in (0.0, *far):
        draw.text((place(value), bottom + 4), f"{value:.3g}", GREY, _font(13), anchor="ma")
    _save(page, path)


def draw_curve(
    path: Path, axes: tuple[str, str], points: Mapping[float, Estimate], levels: Mapping[str, float]
) -> None:
    """Draw means with their intervals over a logarithmic axis.

    Args:
        path: Where to.
        axes: Names of what goes right and what goes up.
        points: By place on the axis, above 0.
        levels: Values by name that are drawn as lines across.
    """
    page = Image.new("RGB", (WIDTH, CURVE_HEIGHT), "white")
    draw, bottom = ImageDraw.Draw(page), CURVE_HEIGHT - 2 * MARGIN - ROW
    draw.text((MARGIN, MARGIN), f"{axes[1]} over {axes[0]}", INK, _font(18))
    heights = [side for estimate in points.values() for side in _sides(estimate)]
    up, low, high = _scale([*heights, *levels.values()], bottom, MARGIN + 2 * ROW)
    right, _, _ = _scale([math.log(x) for x in points], MARGIN + 120, WIDTH - 120)
    for name, value in levels.items():
        below = value == min(levels.values())  # so that two names stay apart
        draw.line((MARGIN + 90, up(value), WIDTH - MARGIN, up(value)), GREY, 1)
        draw.text((WIDTH - MARGIN, up(value)), name, GREY, _font(13), anchor="ra" if below else "rd")
    for x, estimate in sorted(points.items()):
        at, (first, last) = right(math.log(x)), _sides(estimate)
        draw.line((at, up(first), at, up(last)), SURE, 3)
        _draw_dot(draw, at, up(estimate.mean), SURE)
        draw.text((at, bottom + ROW / 2), f"{x:,.0f}" if x >= 100 else f"{x:.3g}", INK, _font(13), anchor="ma")
    for value in (low, high):
        draw.text((MARGIN, up(value)), f"{value:.3g}", GREY, _font(13), anchor="lm")
    _save(page, path)


def _sides(estimate: Estimate) -> tuple[float, float]:
    """Return the ends of the wider interval, or of what single people have where they are too few for one."""
    if estimate.low is None:
        values = [*estimate.people.values(), estimate.mean]
        return min(values), max(values)
    if estimate.t_low is None:
        return estimate.low, estimate.high
    return min(estimate.low, estimate.t_low), max(estimate.high, estimate.t_high)


def _scale(values: Sequence[float], start: float, end: float) -> tuple[Callable[[float], float], float, float]:
    """Return where a value lies between two pixels, and the least and the greatest value."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start), low, high


def _draw_dot(draw: ImageDraw.ImageDraw, x: float, y: float, colour: str) -> None:
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), colour)


def _save(page: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.quantize(32).save(path, optimize=True)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
