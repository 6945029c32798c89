"""Windows of public people's clips, for the denoiser of stage 0: what its frozen parts make of some frames in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.utils.data import default_collate

from datamodules.clips import Clip
from datamodules.encoding_cache import Encoding, with_inputs
from datamodules.windows import WindowedClips, draw_window


class PublicWindows:
    """Random windows that follow from a seed alone; clips are encoded when somebody's are first drawn.

    Args:
        people: Clips of each person.
        window: Frames of one window.
        encode: The frozen parts of the model.
    """

    def __init__(self, people: Sequence[Sequence[Clip]], window: int, encode: Callable[[Clip], Encoding]) -> None:
        self.people = people
        self.window = window
        self._encode_whole = with_inputs(encode)
        self._encoded: dict[int, list[Encoding]] = {}

    def draw(self, count: int, seed: int) -> dict[str, Tensor]:
        """Return a batch of `count` windows as `ClientDataModule` makes them, of random people."""
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
        encoding = self._encode_whole(clip)
        return {name: part.half() if part.is_floating_point() else part for name, part in encoding.items()}
