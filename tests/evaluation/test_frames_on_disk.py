"""Frames of all systems wait on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.frames_on_disk import to_disk


def test_frames_are_the_same_and_leave_no_file_behind(tmp_path):
    frames = torch.randint(256, (3, 3, 4, 4)).to(torch.uint8)
    kept = to_disk(frames, tmp_path)
    assert torch.equal(kept, frames)
    assert not list(tmp_path.iterdir())


def test_they_hold_no_file_open(tmp_path):
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir():
        pytest.skip("Needs Linux's /proc.")
    before = len(list(open_files.iterdir()))
    kept = [to_disk(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), tmp_path) for _ in range(20)]
    assert len(list(open_files.iterdir())) == before
    assert len(kept) == 20


def test_no_frames_are_no_file(tmp_path):
    assert to_disk(torch.zeros(0, 3, 4, 4, dtype=torch.uint8), tmp_path).shape == (0, 3, 4, 4)


def test_a_picture_shown_again_and_again_is_written_out(tmp_path):
    frames = torch.randint(256, (3, 4, 4)).to(torch.uint8).expand(5, -1, -1, -1)
    assert torch.equal(to_disk(frames, tmp_path), frames)


def test_they_lie_in_a_file_and_not_in_the_memory_of_the_process(tmp_path):
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("Needs Linux's /proc.")
    frames = torch.ones(64, 3, 64, 64, dtype=torch.uint8)
    assert str(tmp_path) not in _mapping_of(frames.data_ptr(), maps.read_text())
    kept = to_disk(frames, tmp_path)
    assert str(tmp_path) in _mapping_of(kept.data_ptr(), maps.read_text())


def _mapping_of(address: int, maps: str) -> str:
    """Return the line of the range that an address lies in; after the range it names the file, if there is one."""
    for line in maps.splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            return line
    raise AssertionError(f"{address:x} is mapped nowhere.")
