"""Frames at any rate and size, and the sound as long as they are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.playback import Playback


@settings(deadline=None)
@given(frames=st.integers(1, 5000), fps=st.integers(1, 120))
def test_sound_and_frames_end_together_and_never_late(frames, fps):
    playback = Playback(fps)
    shown = playback.count(frames)
    assert 0 <= shown / fps - playback.samples(frames) / 16_000 < 1 / 16_000
    assert shown == 1 or shown / fps <= frames / 25 + 1e-9
    assert frames / 25 - shown / fps < 1 / fps


@settings(deadline=None)
@given(frames=st.integers(1, 60), fps=st.integers(1, 120))
def test_the_frame_nearest_in_time_is_shown(frames, fps):
    numbered = torch.arange(frames, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    shown = [int(frame[0, 0, 0]) for frame in Playback(fps).show(numbered, frames)]
    assert all(
        abs(number / 25 - index / fps) <= 0.02 + 1e-9 or number == frames - 1 for index, number in enumerate(shown)
    )
    assert shown == sorted(shown)
    assert fps != 25 or shown == list(range(frames))


def test_size_is_scaled_and_else_left(tmp_path):
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert {frame.shape for frame in Playback(size=96).show(frames, 2)} == {(3, 96, 96)}
    assert torch.equal(torch.stack(list(Playback().show(frames, 2))), frames)


@pytest.mark.parametrize(("fps", "size"), [(0, None), (121, None), (25, 33), (25, 0), (25, 4098)])
def test_what_h264_cannot_show_is_refused(fps, size):
    with pytest.raises(ValueError, match="Got"):
        Playback(fps, size)
