"""Generates the frames of all systems: every adapter is loaded once, and all systems start from the same noise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from torch import Tensor
from tqdm import tqdm

from evaluation.cases import Case
from evaluation.scores import Score
from evaluation.systems import System
from lightning_modules.backbone import Backbone
from lightning_modules.natural_motion import choose_motion
from lightning_modules.personalised import load_personalised
from lightning_modules.sampling import animate


@dataclass(frozen=True)
class Sampling:
    """How frames are generated."""

    steps: int = 10
    """Denoising steps."""
    seed: int = 0
    """Of the start noise, and of the head motion that is drawn where none is given."""
    device: str = "cpu"

    def seed_of(self, case: Case) -> int:
        """Return the seed of a case's start noise, the same for all systems and whoever else is evaluated."""
        return crc32(f"{self.seed} {case.person} {case.name}".encode())


@dataclass(frozen=True)
class Production:
    """What systems made of cases, and how long it took."""

    frames: dict[str, list[Tensor]]
    """By system: the frames of each case, uint8 (frames, 3, height, width)."""
    times: list[Score]
    """Seconds per frame, from portrait and sound to decoded frames, without loading the model."""


def produce(base: Path, systems: Sequence[System], cases: Sequence[Case], sampling: Sampling) -> Production:
    """Generate every case with every system.

    Raises:
        FileNotFoundError: If an adapter is missing.
        ValueError: If an adapter does not belong to the base model.
    """
    made: dict[tuple[str, int], Tensor] = {}
    seconds: dict[tuple[str, int], float] = {}
    with tqdm(total=len(systems) * len(cases), desc="generating", unit="clip", mininterval=5) as bar:
        for adapter, jobs in _by_adapter(systems, cases).items():
            backbone = load_personalised(base, adapter).to(sampling.device)
            for system, number in jobs:
                began, key = time.perf_counter(), (system.name, number)
                made[key] = _generate(backbone, system, cases[number], sampling)
                seconds[key] = (time.perf_counter() - began) / len(made[key])
                bar.update()
    numbers = range(len(cases))
    return Production(
        {system.name: [made[system.name, number] for number in numbers] for system in systems},
        [
            Score(system.name, case.person, case.name, "seconds per frame", seconds[system.name, number])
            for system in systems
            for number, case in enumerate(cases)
        ],
    )


def _by_adapter(systems: Sequence[System], cases: Sequence[Case]) -> dict[Path | None, list[tuple[System, int]]]:
    jobs: dict[Path | None, list[tuple[System, int]]] = {}
    for system in systems:
        for number, case in enumerate(cases):
            jobs.setdefault(system.adapter(case), []).append((system, number))
    return jobs


def _generate(backbone: Backbone, system: System, case: Case, sampling: Sampling) -> Tensor:
    sound, seed = system.sound(case), sampling.seed_of(case)
    motion = case.motion if system.posed else choose_motion(backbone, case.reference, len(sound), "auto", seed)
    return animate(backbone, case.reference, sound, motion=motion, steps=sampling.steps, seed=seed)
