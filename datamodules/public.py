"""Public people for stage 0: frames for the autoencoder and for what reads faces and heads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby

import torch
from torch import Generator, Tensor

from datamodules.clips import Clip


def draw_places(clips: Sequence[Clip], count: int, seed: int) -> list[tuple[int, int]]:
    """Return the numbers of random clips, and of a random frame in each."""
    generator = Generator().manual_seed(seed)
    chosen = torch.randint(len(clips), (count,), generator=generator).tolist()
    places = torch.rand(count, generator=generator).tolist()
    return [(index, int(place * len(clips[index].frames))) for index, place in zip(chosen, places, strict=True)]


class PublicPeople:
    """All clips of consenting people, and random draws from them that follow from a seed alone.

    Args:
        people: Clips by person.
    """

    def __init__(self, people: dict[str, list[Clip]]) -> None:
        self.people = list(people.values())

    @cached_property
    def clips(self) -> list[tuple[int, Clip]]:
        """Return every clip with the number of its person."""
        return [(number, clip) for number, clips in enumerate(self.people) for clip in clips]

    def draw_frames(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return random frames (count, 3, height, width) in [-1, 1] and the number of each one's person (count,)."""
        drawn = draw_places([clip for _, clip in self.clips], count, seed)
        frames = torch.stack([self.clips[index][1].frames[frame] for index, frame in drawn])
        return frames.float() / 127.5 - 1, torch.tensor([self.clips[index][0] for index, _ in drawn])

    @cached_property
    def posed(self) -> list[Clip]:
        """Return the clips whose head motion is known."""
        return [clip for _, clip in self.clips if clip.motion is not None]

    @cached_property
    def _posed_of(self) -> dict[str, list[Clip]]:
        return {person: list(clips) for person, clips in groupby(self.posed, lambda clip: clip.person)}

    def draw_posed(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return random frames of `posed` (count, 3, height, width) in [-1, 1], and their head motion (count, 6)."""
        drawn = [(self.posed[index], frame) for index, frame in draw_places(self.posed, count, seed)]
        frames = torch.stack([clip.frames[frame] for clip, frame in drawn]).float() / 127.5 - 1
        return frames, torch.stack([clip.motion[frame] for clip, frame in drawn])

    def draw_pairs(self, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return pairs of frames of `posed` people: references, frames (count, 3, h, w) in [-1, 1], motion (count, 6).

        The motion is that of the frames. A reference comes from another clip of the person, if there is one.
        """
        generator = Generator().manual_seed(seed)
        pairs = []
        for index in torch.randint(len(self.posed), (count,), generator=generator).tolist():
            clip = self.posed[index]
            others = [other for other in self._posed_of[clip.person] if other is not clip] or [clip]
            which, *places = torch.rand(3, generator=generator).tolist()
            shown = others[int(which * len(others))]
            reference, frame = (int(place * len(one.frames)) for place, one in zip(places, (shown, clip), strict=True))
            pairs.append((shown.frames[reference], clip.frames[frame], clip.motion[frame]))
        references, frames, motion = (torch.stack(part) for part in zip(*pairs, strict=True))
        return references.float() / 127.5 - 1, frames.float() / 127.5 - 1, motion
