"""Finding people's recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datamodules.reading.layouts import find_recordings, warn_of_others


def test_people_and_files_come_in_the_order_of_their_names(tmp_path):
    for name in ("bob/2.mov", "bob/1.MP4", "ada/x.webm", "ada/x.truth.safetensors", "ada/notes.txt", "empty/readme.md",
                 ".hidden/a.mp4", "bob/.a.mp4", "stray.mp4"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {person: [path.name for path in paths] for person, paths in find_recordings(tmp_path).items()}
    assert list(found) == ["ada", "bob"]
    assert found == {"ada": ["x.webm"], "bob": ["1.MP4", "2.mov"]}


def test_what_is_passed_over_is_named_once(tmp_path, caplog):
    for name in ("bob/2.mxf", "bob/1.mkv", "bob/.DS_Store", "bob/1.truth.safetensors", "eve/readme.md", "stray.mp4",
                 "licence.txt", "cache/bob/0af.safetensors", ".hidden/a.txt", "many/a.mp4",
                 *(f"many/{number:02d}.jpg" for number in range(12))):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    warn_of_others(tmp_path)
    bob, eve, many, stray = caplog.messages
    assert bob.startswith(f"Left out of {tmp_path / 'bob'} as no recordings (.mp4, ")
    assert bob.endswith("): 2.mxf.")
    assert eve.endswith("): readme.md.")
    assert many.endswith("): " + ", ".join(f"{number:02d}.jpg" for number in range(10)) + " and 2 more.")
    assert stray == f"Left out of {tmp_path} as in no person's folder: stray.mp4."
    caplog.clear()
    warn_of_others(tmp_path, ["eve"])
    assert len(caplog.messages) == 2


def test_a_persons_folder_within_which_recordings_lie_deeper_is_named(tmp_path, caplog):
    for name in ("eve/1.mp4", "eve/monday/2.mp4", "eve/notes/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    warn_of_others(tmp_path)
    assert caplog.messages == [f"Left out of {tmp_path / 'eve'} as a folder in a person's: monday."]


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


def test_names_that_no_line_can_show_are_passed_over_and_told(tmp_path, caplog):
    shown = [
        "a\u00a0b.mp4",
        "good.mp4",
        "at 9.00.00\u202fAM.mp4",
        "\u5c71\u7530\u3000\u82b1.mp4",
        "\U0001f468\u200d\U0001f469.mp4",
    ]
    for name in (*(f"ada/{one}" for one in shown), "ada/a\nb.mp4", os.fsdecode(b"ada/J\xfcrgen.mp4")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_recordings(tmp_path)["ada"]] == sorted(shown)
    warn_of_others(tmp_path)
    assert sum(line.endswith("its name cannot be shown. Rename it.") for line in caplog.messages) == 2
    assert all(line.isprintable() and line.encode() for line in caplog.messages)


def test_a_folder_that_may_not_be_read_is_passed_over_and_told(tmp_path, monkeypatch, caplog):
    for name in ("ada/a.mp4", "lost+found/b.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    access, iterdir = os.access, Path.iterdir
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "lost+found" and access(path, mode))

    def refuse(path):
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert list(find_recordings(tmp_path)) == ["ada"]
    warn_of_others(tmp_path)
    assert caplog.messages == [f"{tmp_path / 'lost+found'} is left out: it may not be read."]
