"""Finding people's recordings."""

from __future__ import annotations

import pytest

from datamodules.layouts import find_recordings


def test_people_and_files_come_in_the_order_of_their_names(tmp_path):
    for name in ("bob/2.mov", "bob/1.MP4", "ada/x.webm", "ada/x.truth.safetensors", "ada/notes.txt", "empty/readme.md",
                 ".hidden/a.mp4", "bob/.a.mp4", "stray.mp4"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {person: [path.name for path in paths] for person, paths in find_recordings(tmp_path).items()}
    assert list(found) == ["ada", "bob"]
    assert found == {"ada": ["x.webm"], "bob": ["1.MP4", "2.mov"]}


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_recordings(tmp_path / "nowhere")


def test_a_folder_without_recordings_is_refused(tmp_path):
    (tmp_path / "ada").mkdir()
    with pytest.raises(ValueError, match=r"mp4.*Got none"):
        find_recordings(tmp_path)


def test_only_those_who_are_asked_for_are_found(tmp_path):
    for person in ("ada", "bob", "eve"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "a.mp4").touch()
    assert list(find_recordings(tmp_path, ["eve", "ada"])) == ["ada", "eve"]
    with pytest.raises(ValueError, match=r"--data\.people.*Got max, zoe"):
        find_recordings(tmp_path, ["zoe", "ada", "max"])
