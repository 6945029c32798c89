"""Windows cover every frame, agree where they meet, and steps that are chained equal steps one after the other."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
import torch
from torch import Tensor

from lightning_modules.windowing import blend_weights, group_windows, step_groups, window_starts


@pytest.mark.parametrize("frames", [1, 3, 8, 9, 17, 75])
def test_windows_cover_every_frame_and_overlap(frames):
    window = min(8, frames)
    starts = window_starts(frames, window, overlap=min(3, window - 1))
    covered = {frame for start in starts for frame in range(start, start + window)}
    assert covered == set(range(frames))
    assert all(later - earlier <= 5 for earlier, later in pairwise(starts))


@pytest.mark.parametrize("overlap", [4, 7])
def test_windows_move_on_even_if_they_are_to_share_all_frames(overlap):
    windows = [rows for group in group_windows(20, window=4, overlap=overlap, batch=2) for rows in group.rows]
    assert [rows.start for rows in windows] == list(range(17))


def test_every_frame_has_weight():
    assert blend_weights(8, torch.zeros(1)).min() > 0
    assert blend_weights(1, torch.zeros(1)).tolist() == [1.0]


@pytest.mark.parametrize("frames", [1, 7, 19, 44, 100])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_groups_hold_every_window_once_and_settle_every_frame(frames, batch):
    groups = group_windows(frames, window=8, overlap=3, batch=batch)
    starts = [rows.start for rows in chain.from_iterable(group.rows for group in groups)]
    assert starts == window_starts(frames, min(8, frames), min(3, min(8, frames) - 1))
    assert all(len(group.rows) <= batch for group in groups)
    assert groups[-1].settled == groups[-1].end == frames
    assert all(one.settled == later.rows[0].start for one, later in pairwise(groups))


def predict(z: Tensor, _: object) -> Tensor:
    """A frame's prediction depends on the others of its window, as the denoiser's does."""
    return z.cos() + z.mean(dim=1, keepdim=True)


def denoise_at_once(z: Tensor, groups: list, steps: int) -> Tensor:
    """All windows of a step before the next step: what the chain must equal."""
    for _ in range(steps):
        total, weight = torch.zeros_like(z), torch.zeros(len(z), 1, 1, 1)
        for rows in chain.from_iterable(group.rows for group in groups):
            blend = blend_weights(rows.stop - rows.start, z).view(-1, 1, 1, 1)
            total[rows] += blend * predict(z[None, rows], None)[0]
            weight[rows] += blend
        z = z - 0.1 * total / weight
    return z


@pytest.mark.parametrize("frames", [1, 7, 19, 44, 100])
@pytest.mark.parametrize("batch", [1, 3])
def test_chained_steps_equal_steps_one_after_the_other(frames, batch):
    groups, noise = group_windows(frames, window=8, overlap=3, batch=batch), torch.randn(frames, 2, 4, 4)
    pieces = iter(noise.split(5))
    for _ in range(4):
        pieces = step_groups(pieces, [(group, None) for group in groups], predict, lambda v, z: z - 0.1 * v)
    torch.testing.assert_close(torch.cat(list(pieces)), denoise_at_once(noise, groups, steps=4))
