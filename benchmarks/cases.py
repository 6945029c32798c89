"""What is generated and scored: some frames of a held-out demo clip, with the reference from another clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datamodules.audio import log_mel_windows
from datamodules.clips import Clip
from datamodules.demo import make_demo_people, record
from datamodules.demo_person import HELD_OUT_SEEDS, draw_person, name_of
from datamodules.frames import load_people
from lightning_modules.backbone import Backbone


@dataclass(frozen=True)
class Case:
    """Frames to be generated from a portrait and sound, and the truth about them."""

    clip: Clip
    start: int
    """First frame of the clip that is generated."""
    reference: Tensor
    """The first frame of another clip of the person, uint8 (3, height, width)."""
    frames: Tensor
    """What was decoded from the clip, uint8 (frames, 3, height, width)."""
    mel: Tensor
    """The sound, (frames, 20, 80)."""
    motion: Tensor
    """The true head motion, (frames, 6)."""
    mouth: Tensor
    """The true opening, (frames,)."""

    @property
    def person(self) -> str:
        """Return who it is."""
        return self.clip.person


def read_held_out(root: str | Path, people: int, clips: int, size: int) -> dict[str, list[Clip]]:
    """Return the first clips of the first held-out people, drawn and spoken if they are not in `root` yet."""
    if not 1 <= people <= len(HELD_OUT_SEEDS) or clips < 2:
        raise ValueError(
            f"`--people` must be 1 to {len(HELD_OUT_SEEDS)} and `--clips` at least 2, as the reference comes from "
            f"another clip. Got {people} and {clips}."
        )
    seeds = HELD_OUT_SEEDS[:people]
    make_demo_people(root, seeds, clips_per_person=clips, size=size, processes=2)
    everybody = load_people(root, size, "none")
    return {name_of(seed): everybody[name_of(seed)][:clips] for seed in seeds}


def make_cases(people: dict[str, list[Clip]], frames: int) -> list[Case]:
    """Return a case for the middle of every clip; the clips of one person follow each other."""
    cases = []
    for clips in people.values():
        for index, clip in enumerate(clips):
            if clip.motion is None or clip.mouth is None or len(clip.frames) < frames:
                raise ValueError(f"A case needs {frames} frames of a demo person. Got {clip.path}.")
            start = (len(clip.frames) - frames) // 2
            rows = slice(start, start + frames)
            cases.append(
                Case(
                    clip=clip,
                    start=start,
                    reference=clips[(index + 1) % len(clips)].frames[0],
                    frames=clip.frames[rows],
                    mel=log_mel_windows(clip.waveform, len(clip.frames))[rows],
                    motion=clip.motion[rows],
                    mouth=clip.mouth[rows],
                )
            )
    return cases


def shuffled_pairs(cases: Sequence[Case], count: int) -> Iterable[tuple[Case, Case]]:
    """Yield pairs of a case and another person's case whose sound it gets; the first of them go through all cases.

    Raises:
        ValueError: If the people are too few for so many different pairs.
    """
    together = max(sum(case.person == person for case in cases) for person in {case.person for case in cases})
    rounds = range(together, len(cases) - together + 1)
    most = len(cases) * len(rounds)
    if not 1 <= count <= most:
        raise ValueError(f"`--pairs` must be 1 to {most} with {len(cases)} clips. Got {count}.")
    # Pairs far from each other first, so that a second round meets other people than the first.
    offsets = sorted(rounds, key=lambda offset: (offset % together, offset))
    for number in range(count):
        target = number % len(cases)
        yield cases[target], cases[(target + offsets[number // len(cases)]) % len(cases)]


def noise(case: Case) -> Tensor:
    """Return frames of uniform noise."""
    return torch.randint(256, case.frames.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def static_copy(case: Case) -> Tensor:
    """Return the reference frame, again and again."""
    return case.reference.expand_as(case.frames)


def clean_render(case: Case) -> Tensor:
    """Return the frames as they were drawn, before they were written as a video."""
    seed = int(case.person.removeprefix("p"))
    number = int(case.clip.name.removeprefix("clip_"))
    drawn = record(draw_person(seed), number, size=case.frames.shape[-1], frames=len(case.clip.frames)).frames
    return drawn[case.start : case.start + len(case.frames)]


@torch.no_grad()
def through_autoencoder(backbone: Backbone, frames: Tensor) -> Tensor:
    """Return uint8 frames encoded to the posterior mean and decoded again: the best that any denoiser can do."""
    inputs = frames.to(backbone.vae.device) / 127.5 - 1
    decoded = torch.cat([backbone.decode(backbone.encode(chunk)) for chunk in inputs.split(32)])
    return ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
