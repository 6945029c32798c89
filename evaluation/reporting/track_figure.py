"""Mouths over time as a picture: how the true, the copied and the generated mouth move, clip by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datamodules.demo.opening import mouth_opening
from evaluation.cases import Case
from evaluation.metrics.regions import lower_centre
from evaluation.metrics.tracks import correlation, motion_energy, sound_energy

WIDTH = 900
HEIGHT = 90
"""Of one clip's curves, pixels."""
TITLE = 44
"""Height of the two lines above them, pixels."""
MARGIN = 24
"""Around all, pixels."""
GAP = 16
"""Between names, pixels."""
TRUTH = "#202124"
COLOURS = ("#1a56a8", "#c2571a", "#2e7d4f", "#8e3b8e")
REACH = 2.5
"""Deviations from the mean that a band holds."""


def draw_tracks(cases: Sequence[Case], made: Mapping[str, Sequence[Tensor]]) -> Image.Image:
    """Return the picture, RGB: a band per case, the truth in black and each system in its colour, with its r.

    Demo people: the true mouth opening, and what is read off the frames. Others: how loud the sound is, and how much
    the lower middle of the frames moves. Curves are in deviations from their means, as r sees them.

    Args:
        cases: What was to be made.
        made: By system, the frames of each case; four systems at most.
    """
    if len(made) > len(COLOURS):
        raise ValueError(f"Tracks of at most {len(COLOURS)} systems can be told apart. Got {len(made)}.")
    page = Image.new("RGB", (WIDTH + 2 * MARGIN, len(cases) * (HEIGHT + TITLE) + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(page)
    for number, case in enumerate(cases):
        top = MARGIN + number * (HEIGHT + TITLE)
        truth = _truth(case)
        tracks = {system: _track(case, clips[number]) for system, clips in made.items()}
        what = "loudness" if case.mouth is None else "true opening"
        _write(draw, MARGIN, top, f"{case.person} {case.name}: {what}", TRUTH)
        x = MARGIN
        for (system, track), colour in zip(tracks.items(), COLOURS, strict=False):
            x = _write(draw, x, top + TITLE / 2, f"{system} (r {correlation(track, truth):.2f})", colour) + GAP
            _draw_curve(draw, track, top + TITLE, colour)
        _draw_curve(draw, truth, top + TITLE, TRUTH)
    return page


def _truth(case: Case) -> Tensor:
    return sound_energy(case.waveform, len(case.frames)) if case.mouth is None else case.mouth


def _track(case: Case, frames: Tensor) -> Tensor:
    return motion_energy(lower_centre(frames)) if case.mouth is None else mouth_opening(frames)


def _draw_curve(draw: ImageDraw.ImageDraw, track: Tensor, top: float, colour: str) -> None:
    deviations = ((track - track.mean()) / track.std().clamp(min=1e-6)).clamp(-REACH, REACH).tolist()
    step = WIDTH / max(1, len(deviations) - 1)
    middle, unit = top + HEIGHT / 2, (HEIGHT - 8) / 2 / REACH
    points = [(MARGIN + index * step, middle - value * unit) for index, value in enumerate(deviations)]
    draw.line(points, colour, 2, joint="curve")


def _write(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, colour: str) -> float:
    """Write text and return where it ends."""
    font = ImageFont.load_default(13)
    draw.text((x, y), text, colour, font)
    return x + font.getlength(text)
