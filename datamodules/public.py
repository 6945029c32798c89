"""Public people in memory for stage 0: frames for autoencoder and face encoder, windows for the denoiser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from datamodules.audio import log_mel_windows
from datamodules.clips import Clip

Encoded = dict[str, Tensor]


class PublicPeople:
    """All clips of consenting people, and random draws from them that follow from a seed alone.

    Args:
        people: Clips by person.
        window: Frames of one training window.
    """

    def __init__(self, people: dict[str, list[Clip]], window: int) -> None:
        self.window = window
        self.clips = [clip for clips in people.values() for clip in clips]
        owners = [number for number, clips in enumerate(people.values()) for _ in clips]
        self._person = torch.tensor(owners)
        self._clips_of = [[i for i, owner in enumerate(owners) if owner == number] for number in range(len(people))]
        self._encoded: dict[int, Encoded] = {}

    @property
    def people(self) -> int:
        """Return the number of people."""
        return len(self._clips_of)

    def draw_frames(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return random frames (count, 3, height, width) in [-1, 1] and the index of each one's person (count,)."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(self.clips), (count,), generator=generator)
        places = torch.rand(count, generator=generator)
        frames = [self.clips[c].frames[int(p * len(self.clips[c].frames))] for c, p in zip(chosen, places, strict=True)]
        return torch.stack(frames).float() / 127.5 - 1, self._person[chosen]

    def draw_windows(self, count: int, seed: int, encode: Callable[[Clip], Encoded]) -> Encoded:
        """Return a batch of windows as `datamodules.clients` makes them; a clip is encoded when it is first drawn."""
        generator = torch.Generator().manual_seed(seed)
        rows = [self._draw_window(generator, encode) for _ in range(count)]
        return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}

    def _draw_window(self, generator: torch.Generator, encode: Callable[[Clip], Encoded]) -> Encoded:
        def below(bound: int) -> int:
            return int(torch.randint(bound, (1,), generator=generator))

        own = self._clips_of[below(self.people)]
        chosen = own[below(len(own))]
        clip = self._encode(chosen, encode)
        start = below(len(clip["latents"]) - self.window + 1)
        rows = slice(start, start + self.window)
        others = [index for index in own if index != chosen]
        # A reference out of the scored frames would teach copying; another clip of the person is best.
        source = self._encode(others[below(len(others))], encode) if others else clip
        frames = range(len(source["latents"]))
        outside = [f for f in frames if source is not clip or not rows.start <= f < rows.stop]
        frame = outside[below(len(outside))]
        timed = {key: clip[key][rows].float() for key in ("latents", "mel", "motion", "mouth")}
        one = {"reference": source["latents"][frame].float(), "identity": source["identity"][frame].float()}
        return timed | one | {key: clip[key] for key in ("has_motion", "has_mouth")}

    def _encode(self, index: int, encode: Callable[[Clip], Encoded]) -> Encoded:
        if index not in self._encoded:
            clip = self.clips[index]
            encoded = encode(clip) | {"mel": log_mel_windows(clip.waveform, len(clip.frames))}
            small = {key: value.half() if value.ndim else value for key, value in encoded.items()}
            self._encoded[index] = small
        return self._encoded[index]
