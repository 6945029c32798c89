"""Clips of any length in windows that overlap: a denoising step takes latents in and hands them on in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Conditions = TypeVar("Conditions")


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """Return where windows begin so that every frame is covered and neighbours share at least `overlap` frames."""
    if frames <= window:
        return [0]
    starts = list(range(0, frames - window, window - overlap))
    return [*starts, frames - window]


def blend_weights(window: int, like: Tensor) -> Tensor:
    """Return a triangle (window,) in (0, 1], of the type and on the device of `like`: a window is surest of its middle.

    It is computed there: a GPU would be waited for if it were brought.
    """
    ramp = torch.arange(1, window + 1, dtype=like.dtype, device=like.device)
    return torch.minimum(ramp, ramp.flip(0)) / ((window + 1) // 2)


@dataclass(frozen=True)
class Group:
    """Windows that are denoised at once."""

    rows: list[slice]
    """The frames of each window, counted from the clip's first."""
    settled: int
    """No later group shows the frames before this one."""

    @property
    def end(self) -> int:
        """Return the frame after the last."""
        return self.rows[-1].stop


def group_windows(frames: int, window: int, overlap: int, batch: int) -> list[Group]:
    """Cut a clip into windows, `batch` of them to a group; the clip may be shorter than a window."""
    window = min(window, frames)
    rows = [slice(start, start + window) for start in window_starts(frames, window, min(overlap, window - 1))]
    groups = [rows[first : first + batch] for first in range(0, len(rows), batch)]
    settled = [group[0].start for group in groups[1:]] + [frames]
    return [Group(group, until) for group, until in zip(groups, settled, strict=True)]


def step_groups(
    latents: Iterable[Tensor],
    groups: Iterable[tuple[Group, Conditions]],
    predict: Callable[[Tensor, Conditions], Tensor],
    step: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[Tensor]:
    """Take one denoising step of a clip, group by group.

    The windows' predictions are averaged where they overlap before the step, so neighbours cannot drift apart
    (MultiDiffusion, arXiv 2302.08113, eq. 5). A step of one group therefore needs the step before of the next group,
    and of nothing later: steps may be chained, each a group behind the one before, and hold a few groups at a time
    however long the clip is. The result is the same as of all groups step by step.

    Args:
        latents: Pieces of the clip in order of time, (frames, C, h, w).
        groups: From `group_windows`, each with whatever drives its windows.
        predict: Of the latents of a group's windows (windows, frames, C, h, w) and what drives them: the prediction,
            same shape.
        step: Of a prediction and the latents it was made from, both (frames, C, h, w): the latents after the step.

    Yields:
        Pieces of the clip after the step, in order of time.
    """
    latents = iter(latents)
    noisy = next(latents)
    first, total, weight = 0, noisy[:0], noisy[:0, :1, :1, :1]
    for group, conditions in groups:
        while first + len(noisy) < group.end:
            noisy = torch.cat([noisy, next(latents)])
        total, weight = _lengthen(total, len(noisy)), _lengthen(weight, len(noisy))
        rows = [slice(rows.start - first, rows.stop - first) for rows in group.rows]
        blend = blend_weights(rows[0].stop - rows[0].start, noisy).view(-1, 1, 1, 1)
        predicted = predict(torch.stack([noisy[window] for window in rows]), conditions)
        for window, one in zip(rows, predicted, strict=True):
            total[window] += blend * one
            weight[window] += blend
        done, first = group.settled - first, group.settled
        yield step(total[:done] / weight[:done], noisy[:done])
        noisy, total, weight = noisy[done:], total[done:], weight[done:]


def _lengthen(tensor: Tensor, rows: int) -> Tensor:
    return torch.cat([tensor, tensor.new_zeros(rows - len(tensor), *tensor.shape[1:])])
