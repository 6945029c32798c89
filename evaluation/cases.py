"""What is generated and scored: some frames of a clip that nobody trained on, with the reference from another clip."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from datamodules.audio import Hear, log_mel_windows
from datamodules.clients import ClientDataModule
from datamodules.clips import SAMPLES_PER_FRAME, Clip
from datamodules.demo.people import make_demo_people
from datamodules.demo.person import name_of
from datamodules.demo.seeds import HELD_OUT_SEEDS
from datamodules.reading.frames import load_people

log = logging.getLogger(__name__)


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
    """The sound as judges hear it, log-mel windows (frames, 20, 80)."""
    sound: Tensor
    """The sound as the model hears it: the same windows, or what its own speech model makes of them."""
    motion: Tensor | None
    """The true head motion, (frames, 6); None of real people, as nobody knows theirs."""
    mouth: Tensor | None
    """The true opening, (frames,); None of real people."""

    @property
    def person(self) -> str:
        """Return who it is."""
        return self.clip.person

    @property
    def name(self) -> str:
        """Return the clip's name, unique within the person."""
        return self.clip.name

    @property
    def waveform(self) -> Tensor:
        """Return the sound under the frames, (samples,)."""
        return self.clip.waveform[self.start * SAMPLES_PER_FRAME :][: len(self.frames) * SAMPLES_PER_FRAME]


def cut_case(clip: Clip, reference: Tensor, start: int, frames: int, hear: Hear = log_mel_windows) -> Case:
    """Return a case of at most `frames` frames of a clip, from `start` on."""
    rows = slice(start, start + frames)
    mel = log_mel_windows(clip.waveform, len(clip.frames))
    sound = mel if hear is log_mel_windows else hear(clip.waveform, len(clip.frames))
    return Case(
        clip=clip,
        start=start,
        reference=reference,
        frames=clip.frames[rows],
        mel=mel[rows],
        sound=sound[rows],
        motion=None if clip.motion is None else clip.motion[rows],
        mouth=None if clip.mouth is None else clip.mouth[rows],
    )


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
            cases.append(cut_case(clip, reference, _middle(clip, frames), frames, hear))
    return cases


def client_cases(
    data: ClientDataModule, clients: Sequence[str] | None, clips: int, frames: int, hear: Hear = log_mel_windows
) -> list[Case]:
    """Return a case for the middle of each client's first held-out clips; the reference is of a clip trained on.

    Args:
        data: The clients' clips, read.
        clients: Some of them; all if None.
        clips: Held-out clips of each client, at most.
        frames: Frames of each clip, at most.
        hear: What the model hears.

    Raises:
        ValueError: If a name is no client's, or no client has a held-out clip.
    """
    if clips < 1 or frames < 2:
        raise ValueError(f"`--clips` must be at least 1 and `--frames` at least 2. Got {clips} and {frames}.")
    cases = []
    for client in data.clients if clients is None else clients:
        splits = data.splits(client)
        if not splits["test"]:
            log.warning("%s has no held-out clip and is not scored.", client)
            continue
        portrait = splits["train"][0].frames[0]
        cases += [cut_case(clip, portrait, _middle(clip, frames), frames, hear) for clip in splits["test"][:clips]]
    if not cases:
        raise ValueError(f"Nobody in {data.root} has a held-out clip: it takes two clips of a person. Got one each.")
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


def _middle(clip: Clip, frames: int) -> int:
    """Return where the middle frames of a clip begin; many clips begin and end in silence."""
    return max(0, (len(clip.frames) - frames) // 2)
