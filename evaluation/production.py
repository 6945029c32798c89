"""Generates the frames of all systems: every adapter is loaded once, and all systems start from the same noise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from torch import Tensor
from tqdm import tqdm

from evaluation.cases import Case
from evaluation.frames_on_disk import to_disk
from evaluation.scores import Score
from evaluation.systems import System
from lightning_modules.backbone import Backbone
from lightning_modules.natural_motion import choose_motion
from lightning_modules.personalised import load_personalised
from lightning_modules.sampling import SamplingOptions, animate


@dataclass(frozen=True)
class Production:
    """What systems made of cases, and how long it took."""

    frames: dict[str, list[Tensor]]
    """By system: the frames of each case, uint8 (frames, 3, height, width)."""
    times: list[Score]
    """Seconds per frame, from portrait and sound to decoded frames, without loading the model."""


def noise_seed(seed: int, case: Case) -> int:
    """Return the seed of a case's start noise, the same for all systems and whoever else is evaluated."""
    return crc32(f"{seed} {case.person} {case.name}".encode())


def produce(
    base: Path,
    systems: Sequence[System],
    cases: Sequence[Case],
    sampling: SamplingOptions,
    scratch: Path,
    device: str = "cpu",
) -> Production:
    """Generate every case with every system.

    Args:
        base: Folder of the base model.
        systems: What generates.
        cases: What is generated.
        sampling: How; every case's start noise, and its head motion where none is given, follow from the seed.
        scratch: A folder on the disk that the frames lie on, see `to_disk`.
        device: Where to compute.

    Raises:
        FileNotFoundError: If an adapter is missing.
        ValueError: If an adapter does not belong to the base model.
    """
    made: dict[tuple[str, int], Tensor] = {}
    seconds: dict[tuple[str, int], float] = {}
    with tqdm(total=len(systems) * len(cases), desc="generating", unit="clip", mininterval=5) as bar:
        for adapter, jobs in _by_adapter(systems, cases).items():
            backbone = load_personalised(base, adapter).to(device)
            if not made:
                _warm_up(backbone, *jobs[0], cases, sampling)
            for system, number in jobs:
                began = time.perf_counter()
                key = (system.name, number)
                frames = _generate(backbone, system, cases[number], sampling)
                seconds[key] = (time.perf_counter() - began) / len(frames)
                made[key] = to_disk(frames, scratch)
                bar.update()
            del backbone  # before the next one is loaded: a GPU may have no room for two
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


def _warm_up(backbone: Backbone, system: System, number: int, cases: Sequence[Case], sampling: SamplingOptions) -> None:
    """Make a window's frames that nobody sees: what a first use takes must not be counted as the first system's."""
    short = replace(system, sound=lambda case: system.sound(case)[: backbone.shape.window])
    _generate(backbone, short, cases[number], sampling)


def _generate(backbone: Backbone, system: System, case: Case, sampling: SamplingOptions) -> Tensor:
    sound = system.sound(case)
    seed = noise_seed(sampling.seed, case)
    motion = case.motion if system.posed else choose_motion(backbone, case.reference, len(sound), "auto", seed)
    return animate(backbone, case.reference, sound, replace(sampling, seed=seed), motion=motion)
