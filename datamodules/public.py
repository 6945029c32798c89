"""Public people for stage 0: frames for autoencoder and face encoder, windows for the denoiser."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import groupby

import torch
from torch import Generator, Tensor
from torch.utils.data import default_collate

from datamodules.clips import Clip
from datamodules.encoding_cache import Encoding, with_inputs
from datamodules.windows import WindowedClips, draw_window


class PublicPeople:
    """All clips of consenting people, and random draws from them that follow from a seed alone.

    Args:
        people: Clips by person.
        window: Frames of one training window.

    Attributes:
        encode: The frozen parts of the model, set once they are trained; called when a clip is first drawn.
    """

    encode: Callable[[Clip], Encoding]

    def __init__(self, people: dict[str, list[Clip]], window: int) -> None:
        self.people = list(people.values())
        self.window = window
        self._encoded: dict[int, list[Encoding]] = {}

    @cached_property
    def clips(self) -> list[tuple[int, Clip]]:
        """Return every clip with the number of its person."""
        return [(number, clip) for number, clips in enumerate(self.people) for clip in clips]

    def draw_frames(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return random frames (count, 3, height, width) in [-1, 1] and the number of each one's person (count,)."""
        generator = Generator().manual_seed(seed)
        chosen = [self.clips[index] for index in torch.randint(len(self.clips), (count,), generator=generator)]
        places = torch.rand(count, generator=generator).tolist()
        frames = [clip.frames[int(place * len(clip.frames))] for (_, clip), place in zip(chosen, places, strict=True)]
        return torch.stack(frames).float() / 127.5 - 1, torch.tensor([person for person, _ in chosen])

    @cached_property
    def posed(self) -> list[Clip]:
        """Return the clips whose head motion is known."""
        return [clip for _, clip in self.clips if clip.motion is not None]

    @cached_property
    def _posed_of(self) -> dict[str, list[Clip]]:
        return {person: list(clips) for person, clips in groupby(self.posed, lambda clip: clip.person)}

    def draw_posed(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return random frames of `posed` (count, 3, height, width) in [-1, 1], and their head motion (count, 6)."""
        generator = Generator().manual_seed(seed)
        chosen = [self.posed[index] for index in torch.randint(len(self.posed), (count,), generator=generator)]
        places = torch.rand(count, generator=generator).tolist()
        at = [(clip, int(place * len(clip.frames))) for clip, place in zip(chosen, places, strict=True)]
        frames = torch.stack([clip.frames[frame] for clip, frame in at]).float() / 127.5 - 1
        return frames, torch.stack([clip.motion[frame] for clip, frame in at])

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

    def draw_windows(self, count: int, seed: int) -> dict[str, Tensor]:
        """Return a batch as `ClientDataModule` makes them, of random people."""
        generator = Generator().manual_seed(seed)
        people = torch.randint(len(self.people), (count,), generator=generator).tolist()
        batch = default_collate([self._draw_window(person, generator) for person in people])
        return {name: part.float() for name, part in batch.items()}

    def _draw_window(self, person: int, generator: Generator) -> dict[str, Tensor]:
        encodings = self._encodings(person)
        window = draw_window([len(encoding["latents"]) for encoding in encodings], self.window, generator)
        return WindowedClips(encodings, encodings, [window], self.window)[0]

    def _encodings(self, person: int) -> list[Encoding]:
        if person not in self._encoded:
            self._encoded[person] = [self._encode(clip) for clip in self.people[person]]
        return self._encoded[person]

    def _encode(self, clip: Clip) -> Encoding:
        """Encode to float16: hundreds of people's latents and sounds stay in memory."""
        encoding = with_inputs(self.encode)(clip)
        return {name: part.half() if part.is_floating_point() else part for name, part in encoding.items()}
