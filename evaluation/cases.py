"""What is generated and scored: some frames of a clip that nobody trained on, with the reference from another clip."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from datamodules.audio import Hear, log_mel_windows
from datamodules.clients import ClientDataModule
from datamodules.clips import SAMPLES_PER_FRAME, Clip

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
        cases += [cut_case(clip, portrait, middle(clip, frames), frames, hear) for clip in splits["test"][:clips]]
    if not cases:
        raise ValueError(f"Nobody in {data.root} has a held-out clip: it takes two clips of a person. Got one each.")
    return cases


def middle(clip: Clip, frames: int) -> int:
    """Return where the middle frames of a clip begin; many clips begin and end in silence."""
    return max(0, (len(clip.frames) - frames) // 2)
