"""The benchmark makes the same video in every way, and judges what it measured."""

from __future__ import annotations

import pytest

from benchmarks.generation import Taking, judge, make, table
from lightning_modules.base_folder import load_base


def takings(speed: float, peak: float) -> list[Taking]:
    return [Taking(speed, 1 / speed, 0.1, peak)]


def test_slow_or_growing_videos_miss_their_bars():
    short = {"stage by stage": takings(6, 900), "streamed": takings(7, 800)}
    good = judge(short, {"streamed": takings(7, 810)[0]}, "cpu")
    assert [bar.met for bar in good] == [True, True, True]
    slow = {"stage by stage": takings(5, 900), "streamed": takings(4, 800)}
    assert [bar.met for bar in judge(slow, {"streamed": takings(4, 900)[0]}, "cpu")] == [False, False, False]
    assert "| streamed | 7" in table(short, {"streamed": takings(7, 810)[0]}, 10, 60)


@pytest.mark.slow
def test_both_ways_write_the_same_file(tiny_base, tmp_path):
    backbone = load_base(tiny_base)
    for number, how in enumerate(("stage by stage", "streamed")):
        make(how, backbone, steps=2, seconds=2, output=tmp_path / f"{number}.mp4")
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()
