"""Held-out people in others' rooms and clothes: a judge of faces must not know people by those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datamodules.audio import equalise_loudness
from datamodules.clips import Clip
from datamodules.demo.person import draw_person
from datamodules.demo.recording import FRAMES, record
from evaluation.judges.true_points import seed_of

SURROUNDINGS = ("background", "background_colours", "clothes", "clothes_colours")
CLIP = 1
"""Number of the clip that is drawn: people are known by their first, number 0."""


def swap_surroundings(names: Sequence[str], size: int, frames: int = FRAMES) -> dict[str, list[Clip]]:
    """Draw a clip of each demo person in the next one's room and clothes; the last gets the first one's.

    They move and speak as in their recorded clip `CLIP`. The frames are as drawn, never encoded.

    Raises:
        ValueError: If one of them is no demo person.
    """
    if strangers := [name for name in names if seed_of(name) is None]:
        raise ValueError(f"Only demo people can be drawn in another room. Got {', '.join(strangers)}.")
    people = [draw_person(seed_of(name)) for name in names]
    swapped = {}
    for name, person, other in zip(names, people, people[1:] + people[:1], strict=True):
        moved = replace(person, **{trait: getattr(other, trait) for trait in SURROUNDINGS})
        drawn = record(moved, CLIP, size, frames)
        number = f"clip_{CLIP:02d}"
        sound = equalise_loudness(drawn.waveform)
        swapped[name] = [Clip(name, number, drawn.frames, sound, drawn.motion, drawn.mouth, Path(name, number), 0.0)]
    return swapped
