"""Cases of demo people that were drawn for a test and never written to a file."""

from __future__ import annotations

from pathlib import Path

from datamodules.clips import Clip
from datamodules.demo import record
from datamodules.demo_person import HELD_OUT_SEEDS, draw_person, name_of
from evaluation.cases import Case, make_cases


def draw_clips(seed: int, clips: int = 2, frames: int = 30) -> list[Clip]:
    """Return clips of one person."""
    taken = [record(draw_person(seed), number, frames=frames) for number in range(clips)]
    name = name_of(seed)
    return [
        Clip(name, f"clip_{n:02d}", t.frames, t.waveform, t.motion, t.mouth, Path(f"{seed}/{n}.mp4"), 0.0)
        for n, t in enumerate(taken)
    ]


def draw_cases(people: int = 3, clips: int = 2, frames: int = 11, length: int = 30) -> list[Case]:
    """Return cases of the first held-out people: `frames` frames of clips of `length`."""
    return make_cases({name_of(seed): draw_clips(seed, clips, length) for seed in HELD_OUT_SEEDS[:people]}, frames)
