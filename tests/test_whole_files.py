"""Whatever fails, what stood stands, and nothing half-written is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whole_files import replace_folder, save_text, whole_file, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(path: Path) -> None:
    path.write_text("half")
    raise OSError("disk full")


def test_a_file_takes_its_name_when_it_is_written_and_on_disk(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]
    assert synced == [str(partial), str(path.parent)]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    save_text(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="disk full"), whole_file(tmp_path / "a.txt") as partial:
        fill(partial)
    assert (names(tmp_path), (tmp_path / "a.txt").read_text()) == (["a.txt"], "old")


def test_a_folder_takes_the_place_of_the_older_one(tmp_path):
    for content in ("old", "new"):
        with whole_folder(tmp_path / "base") as partial:
            (partial / content).write_text(content)
    assert (names(tmp_path), names(tmp_path / "base")) == (["base"], ["new"])


def test_an_error_leaves_the_folder_as_it_was(tmp_path):
    with whole_folder(tmp_path / "base") as partial:
        (partial / "weights").write_text("old")
    with pytest.raises(OSError, match="disk full"), whole_folder(tmp_path / "base") as partial:
        fill(partial / "weights")
    assert (names(tmp_path), (tmp_path / "base" / "weights").read_text()) == (["base"], "old")


def test_what_a_replacement_that_was_cut_short_left_is_no_hindrance(tmp_path):
    for name in ("base.old", "base", "base.partial"):
        save_text(tmp_path / name / "weights", name)
    replace_folder(tmp_path / "base.partial", tmp_path / "base")
    assert (names(tmp_path), (tmp_path / "base" / "weights").read_text()) == (["base"], "base.partial")
    save_text(tmp_path / "base.partial" / "left", "of a process that was killed")
    with whole_folder(tmp_path / "base") as partial:
        assert not names(partial)
    assert names(tmp_path) == ["base"]


def test_a_folder_is_on_disk_before_the_older_one_is_gone(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    with whole_folder(tmp_path / "base") as partial:
        save_text(partial / "unet" / "config.json", "{}")
        (partial / "weights").write_text("new")
        synced.clear()
    held = {partial, partial / "unet", partial / "unet" / "config.json", partial / "weights"}
    assert set(synced[:-1]) == {str(path) for path in held}
    assert synced[-1] == str(tmp_path)


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path, name):
    assert save_text(tmp_path / name, "whole").read_text() == "whole"
    assert names(tmp_path) == [name]


def test_two_processes_of_one_number_write_files_of_their_own(tmp_path):
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a").read_text() == "first"
