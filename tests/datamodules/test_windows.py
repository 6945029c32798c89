"""What an example is cut from."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.windows import OF_REFERENCE, Window, WindowedClips, draw_window

LENGTHS = st.lists(st.integers(9, 40), min_size=1, max_size=4)


@given(LENGTHS, st.integers(1, 8), st.integers(0, 2**31))
def test_the_reference_is_never_in_the_window(lengths, length, seed):
    window = draw_window(lengths, length, torch.Generator().manual_seed(seed))
    assert 0 <= window.start <= lengths[window.clip] - length
    assert 0 <= window.reference_frame < lengths[window.reference_clip]
    if len(lengths) > 1:
        assert window.reference_clip != window.clip
    else:
        assert not window.start <= window.reference_frame < window.start + length


@given(LENGTHS, LENGTHS, st.integers(0, 2**31))
def test_references_may_come_from_other_clips(lengths, references, seed):
    window = draw_window(lengths, 8, torch.Generator().manual_seed(seed), references)
    assert 0 <= window.reference_frame < references[window.reference_clip]


def test_every_position_and_every_outside_frame_is_drawn_equally_often():
    generator = torch.Generator().manual_seed(0)
    windows = [draw_window([10], 8, generator) for _ in range(3000)]
    drawn = Counter((window.start, window.reference_frame) for window in windows)
    assert set(drawn) == {(0, 8), (0, 9), (1, 0), (1, 9), (2, 0), (2, 1)}
    assert all(400 < count < 600 for count in drawn.values())


def test_long_clips_are_drawn_more_often():
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(draw_window([8, 37], 8, generator).clip for _ in range(3100))
    assert 50 < drawn[0] < 160  # one position of 31


def encoding(frames: int, first: int) -> dict[str, torch.Tensor]:
    count = torch.arange(first, first + frames).float()
    return {
        "latents": count.view(-1, 1, 1, 1).expand(-1, 4, 2, 2),
        "identity": count.view(-1, 1).expand(-1, 5),
        "frames": count.view(-1, 1, 1, 1).expand(-1, 3, 8, 8),
        "pose": count.view(-1, 1).expand(-1, 6),
        "mel": count.view(-1, 1, 1).expand(-1, 20, 80),
        "motion": count.view(-1, 1).expand(-1, 6),
        "has_motion": torch.tensor(1.0),
        "mouth": count,
        "has_mouth": torch.tensor(0.0),
    }


def test_an_example_is_cut_at_the_same_place_from_everything():
    encodings = [encoding(20, 0), encoding(15, 100)]
    windows = [draw_window([20, 15], 6, torch.Generator().manual_seed(seed)) for seed in range(20)]
    examples = WindowedClips(encodings, encodings, windows, 6)
    assert len(examples) == 20
    for window, example in zip(windows, examples, strict=False):
        expected = torch.arange(6.0) + 100 * window.clip + window.start
        assert example["latents"].shape == (6, 4, 2, 2)
        assert all(torch.equal(example[name].flatten(1)[:, 0], expected) for name in ("latents", "mel", "motion"))
        assert torch.equal(example["mouth"], expected)
        shown = 100 * window.reference_clip + window.reference_frame
        assert example["reference"].shape == (4, 2, 2)
        assert all(example[name].eq(shown).all() for name in OF_REFERENCE)
        assert (example["has_motion"], example["has_mouth"]) == (1, 0)


def test_the_references_motion_is_what_is_read_off_its_frame():
    """What is known of recordings is not known of portraits."""
    told = encoding(20, 0) | {"motion": torch.zeros(20, 6)}
    example = WindowedClips([told], [told], [Window(0, 3, 0, 15)], 6)[0]
    assert example["reference_motion"].eq(15).all()
