"""What is drawn from a client's clips for one example: some frames in a row, and one reference frame from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from datamodules.encoding_cache import Encoding

ALONG_FRAMES = ("frames", "latents", "mel", "pose", "motion", "mouth")
"""Parts of an encoding that are cut to the window."""

OF_CLIP = ("has_motion", "has_mouth")
"""Parts that hold for the whole clip."""

OF_REFERENCE = {
    "reference_frame": "frames",
    "reference": "latents",
    "identity": "identity",
    "reference_motion": "pose",
}
"""What an example tells of its reference frame, and which part of an encoding that is."""


@dataclass(frozen=True)
class Window:
    """Frames `start .. start + length` of a clip, and the frame that shows the model whom to draw."""

    clip: int
    start: int
    reference_clip: int
    reference_frame: int


def draw_window(
    lengths: Sequence[int], length: int, generator: Generator, references: Sequence[int] | None = None
) -> Window:
    """Draw a window, every position in every clip being equally likely, and a reference that is not in it.

    Args:
        lengths: Frames of each clip.
        length: Frames of the window; below every clip's.
        generator: The only source of chance.
        references: Frames of each clip that references come from, when these are other clips (what is scored takes
            them from the clips trained on). None takes them from the same clips: from another one, or, if there is but
            one, from outside the window.
    """
    positions = [frames - length + 1 for frames in lengths]
    clip, start = _place(_draw(sum(positions), generator), positions)
    if references is not None:
        return Window(clip, start, *_place(_draw(sum(references), generator), references))
    if len(lengths) == 1:
        frame = _draw(lengths[0] - length, generator)
        return Window(clip, start, clip, frame if frame < start else frame + length)
    others = [0 if other == clip else frames for other, frames in enumerate(lengths)]
    return Window(clip, start, *_place(_draw(sum(others), generator), others))


def _draw(below: int, generator: Generator) -> int:
    return int(torch.randint(below, (), generator=generator))


def _place(index: int, sizes: Sequence[int]) -> tuple[int, int]:
    """Return in which of the parts laid end to end an index falls, and where in it."""
    for part, size in enumerate(sizes):
        if index < size:
            return part, index
        index -= size
    raise IndexError(index)


class WindowedClips(Dataset[dict[str, Tensor]]):
    """The examples that a list of windows cuts from a client's encodings."""

    def __init__(
        self, encodings: Sequence[Encoding], references: Sequence[Encoding], windows: Sequence[Window], length: int
    ) -> None:
        """Cut `windows` of `length` frames from `encodings`; their reference frames are in `references`."""
        self.encodings = encodings
        self.references = references
        self.windows = windows
        self.length = length

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return the parts of `ALONG_FRAMES` and `OF_CLIP`, and of the reference frame those of `OF_REFERENCE`."""
        window = self.windows[index]
        encoding = self.encodings[window.clip]
        shown = self.references[window.reference_clip]
        example = {name: encoding[name][window.start : window.start + self.length] for name in ALONG_FRAMES}
        example |= {name: encoding[name] for name in OF_CLIP}
        return example | {name: shown[part][window.reference_frame] for name, part in OF_REFERENCE.items()}
