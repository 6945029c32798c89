"""Clips of a recording never overlap, and what is scored is never trained on."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.clips import FPS
from datamodules.reading.splitting import GAP, LENGTH, LONGEST, SHORTEST_TAIL, cut_recording, split_clips


@given(st.integers(1, 20_000))
def test_clips_keep_a_gap_and_waste_nothing_else(frames):
    clips = cut_recording(frames)
    assert clips[0].start == 0
    assert clips[-1].stop == frames
    assert all(after.start - before.stop == GAP for before, after in pairwise(clips))
    assert sum(map(len, clips)) == frames - GAP * (len(clips) - 1)


@given(st.integers(LONGEST + 1, 20_000))
def test_clips_of_a_long_recording_last_about_three_seconds(frames):
    *others, last = cut_recording(frames)
    assert all(len(clip) == LENGTH for clip in others)
    assert SHORTEST_TAIL <= len(last) < LENGTH + GAP + SHORTEST_TAIL


def test_four_seconds_stay_whole():
    assert cut_recording(4 * FPS) == [range(4 * FPS)]


@given(st.integers(1, 300))
def test_every_clip_is_in_one_split(count):
    splits = split_clips("ada", list(range(count)))
    assert splits["train"] + splits["val"] + splits["test"] == list(range(count))
    assert splits["train"]
    assert bool(splits["test"]) == (count >= 2)
    assert bool(splits["val"]) == (count >= 3)


@pytest.mark.parametrize(
    ("count", "sizes"), [(2, (1, 0, 1)), (3, (1, 1, 1)), (8, (5, 1, 2)), (14, (10, 1, 3)), (20, (14, 2, 4))]
)
def test_a_tenth_is_watched_and_a_fifth_held_out(count, sizes):
    assert tuple(map(len, split_clips("ada", range(count)).values())) == sizes


def test_who_has_a_single_clip_is_named(caplog):
    with caplog.at_level(logging.WARNING):
        split_clips("ada", ["clip"])
    assert [record.getMessage() for record in caplog.records] == [
        "ada has a single clip: it is trained on and not scored."
    ]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_who_has_more_clips_is_not(caplog, count):
    split_clips("ada", range(count))
    assert not caplog.records
