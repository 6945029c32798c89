"""Cases of the drawn people that nothing was trained on, and other people's sound for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from datamodules.audio import Hear, log_mel_windows
from datamodules.clips import Clip
from datamodules.demo.people import make_demo_people
from datamodules.demo.person import name_of
from datamodules.demo.seeds import HELD_OUT_SEEDS
from datamodules.reading.frames import load_people
from evaluation.cases import Case, cut_case, middle


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


def make_cases(people: dict[str, list[Clip]], frames: int, hear: Hear = log_mel_windows) -> list[Case]:
    """Return a case for the middle of every demo clip; the clips of one person follow each other.

    Raises:
        ValueError: If a clip is too short or not of a demo person.
    """
    cases = []
    for clips in people.values():
        for index, clip in enumerate(clips):
            if clip.motion is None or clip.mouth is None or len(clip.frames) < frames:
                raise ValueError(f"A case needs {frames} frames of a demo person. Got {clip.path}.")
            reference = clips[(index + 1) % len(clips)].frames[0]
            cases.append(cut_case(clip, reference, middle(clip, frames), frames, hear))
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
