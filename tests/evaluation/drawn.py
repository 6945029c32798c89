"""Cases of demo people that were drawn for a test and never written to a file; each clip is drawn once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from benchmarks.drawn_cases import make_cases
from datamodules.clips import Clip
from datamodules.demo.person import draw_person, name_of
from datamodules.demo.recording import record
from datamodules.demo.seeds import HELD_OUT_SEEDS
from evaluation.cases import Case


@lru_cache
def draw_clip(seed: int, number: int, frames: int) -> Clip:
    """Return a clip that tests share: whoever changes its tensors copies them."""
    taken = record(draw_person(seed), number, frames=frames)
    path = Path(f"{seed}/{number}.mp4")
    return Clip(name_of(seed), f"clip_{number:02d}", taken.frames, taken.waveform, taken.motion, taken.mouth, path, 0.0)


def draw_clips(seed: int, clips: int = 2, frames: int = 30) -> list[Clip]:
    """Return clips of one person."""
    return [draw_clip(seed, number, frames) for number in range(clips)]


def draw_cases(people: int = 3, clips: int = 2, frames: int = 11, length: int = 30) -> list[Case]:
    """Return cases of the first held-out people: `frames` frames of clips of `length`."""
    return make_cases({name_of(seed): draw_clips(seed, clips, length) for seed in HELD_OUT_SEEDS[:people]}, frames)
