"""A folder of people, with files of no use among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.reading import cropping
from datamodules.reading.cropping import Face
from datamodules.reading.frames import load_people, tell_apart


def test_each_useless_file_is_named_in_one_line_and_the_rest_is_read(record, tmp_path, caplog):
    record("ada/good.mp4")
    record("ada/mute.mp4", sound=None)
    record("ada/quiet.mp4", sound="silence")
    record("bob/good.webm", rate=48_000)
    record("bob/short.mp4", seconds=0.5, event=0.1)
    half = record("bob/half.mp4")
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    (tmp_path / "bob" / "empty.mp4").touch()
    (tmp_path / "bob" / "text.mp4").write_text("no film" * 100)
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "empty.avi").touch()
    (tmp_path / "ada" / "notes.txt").touch()
    people = load_people(tmp_path, 16, "none")
    assert {person: [clip.name for clip in clips] for person, clips in people.items()} == {
        "ada": ["good"],
        "bob": ["good"],
    }
    reasons = {"mute": "no sound", "quiet": "silent", "short": "too short", "half": "truncated", "text": "no video",
               "bob/empty": "is empty", "eve/empty": "is empty", "eve is": "none of the clips",
               "notes.txt": "no recordings"}  # fmt: skip
    assert len(caplog.messages) == len(reasons)
    for name, reason in reasons.items():
        (line,) = [line for line in caplog.messages if name in line]
        assert reason in line
        assert "\n" not in line


@pytest.mark.parametrize("cached", [False, True])
def test_what_is_seen_in_every_piece_of_a_recording_is_said_once(record, tmp_path, monkeypatch, caplog, cached):
    faces = [Face(16, 24, 20), Face(48, 24, 20)]
    monkeypatch.setattr(cropping, "_detector", lambda: lambda _: faces)
    path = record("people/ada/long.mp4", seconds=7.0)
    load_people(tmp_path / "people", 16, "auto", cache_dir=tmp_path / "cache" if cached else None)
    assert caplog.messages == [f"2 faces were found in {path}; the largest is taken."]


def test_a_copy_of_a_recording_is_left_out_whichever_name_comes_first(record, tmp_path, caplog):
    """A copy would be scored on what was trained on; people who share a file keep it, as may be wanted in a trial."""
    original = record("ada/IMG_1.mp4")
    (tmp_path / "bob").mkdir()
    for copy in (original.with_name("IMG_1 (1).mp4"), original.with_name("IMG_1.mp4.mp4"), tmp_path / "bob" / "b.mp4"):
        copy.write_bytes(original.read_bytes())
    other = bytearray(original.read_bytes())
    other[-1] ^= 1  # of the same size
    original.with_name("IMG_2.mp4").write_bytes(other)
    people = load_people(tmp_path, 16, "none")
    assert {person: [clip.path.name for clip in clips] for person, clips in people.items()} == {
        "ada": ["IMG_1.mp4", "IMG_2.mp4"],
        "bob": ["b.mp4"],
    }
    assert len(caplog.messages) == 2
    assert all(line.endswith("is left out: it is a copy of IMG_1.mp4.") for line in caplog.messages)


def test_a_folder_of_useless_files_is_an_error(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "empty.mp4").touch()
    with pytest.raises(ValueError, match="Got 1 files"):
        load_people(tmp_path, 16, "none")


def test_clips_come_in_the_order_of_names(record, tmp_path):
    for number, name in enumerate(("bob/1.mp4", "ada/2.mp4", "ada/1.mp4")):
        record(name, event=1 + number / 10)
    people = load_people(tmp_path, 16, "none")
    assert [(name, [clip.name for clip in clips]) for name, clips in people.items()] == [
        ("ada", ["1", "2"]),
        ("bob", ["1"]),
    ]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["IMG_1.MOV", "IMG_1.mp4", "b.mp4"], ["IMG_1.MOV", "IMG_1.mp4", "b"]),
        (["a-01.mp4", "a.mp4 1", "a.mp4 2"], ["a-01.mp4", "a.mp4-01", "a-02"]),
        (["a.avi", "a.mov", "a.mov.mp4"], ["a.avi", "a.mov", "a.mov.mp4"]),
        (["a.mp4 1", "a.mp4 2"], ["a-01", "a-02"]),
    ],
)
def test_no_two_clips_of_a_person_have_one_name(make_clip, files, names):
    clips = []
    for file in files:
        path, _, number = file.partition(" ")
        name = Path(path).stem + (f"-0{number}" if number else "")
        clips.append(replace(make_clip(name=name), path=Path(path)))
    assert [clip.name for clip in tell_apart(clips)] == names


def test_two_files_with_one_stem_are_two_clips(record, tmp_path):
    for number, name in enumerate(("ada/1.mov", "ada/1.mp4", "ada/2.mp4", "bob/1.mp4")):
        record(name, event=1 + number / 10)
    people = load_people(tmp_path, 16, "none")
    assert {person: [clip.name for clip in clips] for person, clips in people.items()} == {
        "ada": ["1.mov", "1.mp4", "2"],
        "bob": ["1"],
    }
