"""A recording is read once, and its clips are the same from the folder as from the file."""

from __future__ import annotations

import logging
import os
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from datamodules.clips import UnusableFile, truth_of
from datamodules.reading import prepared
from datamodules.reading.frames import load_people
from datamodules.reading.prepared import PreparedClips
from datamodules.reading.recordings import read_recording


@pytest.fixture
def people(record, tmp_path):
    """A long recording with its truth, one whose end is silent, and one of no use; return their folder."""
    record("people/ada/long.mp4", seconds=7.0)
    mouth = torch.arange(175.0)
    save_file({"motion": mouth[:, None].repeat(1, 6), "mouth": mouth}, tmp_path / "people/ada/long.truth.safetensors")
    record("people/bob/a.mp4", seconds=11.0, sound_to=2.0)
    record("people/bob/mute.mp4", sound=None)
    return tmp_path / "people"


@pytest.fixture
def forbid_reading(monkeypatch):
    def forbid():
        def refuse(*_):
            raise AssertionError("A recording was read twice.")

        monkeypatch.setattr(prepared, "read_recording", refuse)

    return forbid


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for field in fields(one):
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, field.name


def test_the_second_run_finds_the_same_clips_and_says_the_same_of_them(people, tmp_path, caplog, forbid_reading):
    without = load_people(people, 16, "none")
    said = list(caplog.messages)
    caplog.clear()
    first = load_people(people, 16, "none", cache_dir=tmp_path / "cache")
    assert caplog.messages == said
    caplog.clear()
    (people / "bob/mute.mp4").unlink()  # what is of no use is tried again
    forbid_reading()
    second = load_people(people, 16, "none", cache_dir=tmp_path / "cache")
    assert caplog.messages == [line for line in said if "mute" not in line]
    assert any("used without" in line for line in said)
    for person in ("ada", "bob"):
        assert_same(first[person], without[person])
        assert_same(second[person], without[person])


def test_what_a_killed_process_left_is_no_obstacle_and_what_another_is_at_stays(people, tmp_path):
    clips = PreparedClips(tmp_path / "cache", 16, "none")
    place = clips._place("bob", people / "bob/a.mp4")
    left, begun = (place.with_name(f"{place.name}.{name}.partial") for name in ("left", "begun"))
    for folder in (left, begun):
        folder.mkdir(parents=True)
        (folder / "00099.safetensors").write_text("half a clip")
    os.utime(left, (1, 1))
    assert_same(clips.read("bob", people / "bob/a.mp4"), list(read_recording("bob", people / "bob/a.mp4", 16, "none")))
    assert sorted(place.parent.iterdir()) == sorted([place, begun])


def test_clips_that_are_missing_are_noticed(people, tmp_path):
    clips = PreparedClips(tmp_path / "cache", 16, "none")
    assert len(clips.read("ada", people / "ada/long.mp4")) == 2
    next((tmp_path / "cache").rglob("00001.safetensors")).unlink()
    with pytest.raises(ValueError, match="Prepared clips cannot be read"):
        clips.read("ada", people / "ada/long.mp4")


@pytest.mark.slow
def test_other_processes_prepare_the_same_where_it_takes_long(people, tmp_path, monkeypatch, forbid_reading, caplog):
    monkeypatch.setattr(prepared, "PATIENCE", 0.0)
    monkeypatch.setattr(prepared.os, "cpu_count", lambda: 2)
    forbid_reading()  # here; other processes do not know
    found = load_people(people, 16, "none", cache_dir=tmp_path / "cache")
    (mute,) = [line for line in caplog.messages if "mute" in line]
    assert mute.endswith("is left out: it has no sound.")
    assert_same(found["ada"], list(read_recording("ada", people / "ada/long.mp4", 16, "none")))


def change_truth(people):
    save_file({"motion": torch.ones(175, 6), "mouth": torch.ones(175)}, truth_of(people / "ada/long.mp4"))


def change_recording(people):
    os.utime(people / "ada/long.mp4", ns=(1, 1))


def remove_truth(people):
    truth_of(people / "ada/long.mp4").unlink()


@pytest.mark.parametrize("change", [change_truth, change_recording, remove_truth])
def test_what_has_changed_is_read_anew(people, tmp_path, change):
    path = people / "ada/long.mp4"
    PreparedClips(tmp_path / "cache", 16, "none").read("ada", path)
    change(people)
    found = PreparedClips(tmp_path / "cache", 16, "none").read("ada", path)
    assert_same(found, list(read_recording("ada", path, 16, "none")))
    assert len(list((tmp_path / "cache/ada").iterdir())) == 2


@pytest.mark.parametrize(("size", "crop"), [(24, "none"), (16, "auto")])
def test_another_size_or_crop_is_another_clip(people, tmp_path, size, crop):
    path = people / "ada/long.mp4"
    PreparedClips(tmp_path / "cache", 16, "none").read("ada", path)
    assert_same(
        PreparedClips(tmp_path / "cache", size, crop).read("ada", path),
        list(read_recording("ada", path, size, crop)),
    )
    assert len(list((tmp_path / "cache/ada").iterdir())) == 2


def test_a_long_name_is_short_enough(people, tmp_path):
    path = (people / "ada/long.mp4").rename(people / "ada" / f"{'ü' * 115}.mp4")
    (clip, _) = PreparedClips(tmp_path / "cache", 16, "none").read("ada", path)
    assert clip.name == f"{path.stem}-01"


def test_other_code_makes_other_clips(people, tmp_path, monkeypatch, forbid_reading):
    kept = PreparedClips(tmp_path / "cache", 16, "none")
    kept.read("ada", people / "ada/long.mp4")
    forbid_reading()
    kept.read("ada", people / "ada/long.mp4")
    monkeypatch.setattr(prepared, "_code", lambda: "another")
    with pytest.raises(AssertionError, match="read twice"):
        kept.read("ada", people / "ada/long.mp4")


def test_a_recording_that_breaks_off_leaves_nothing(people, tmp_path, monkeypatch):
    def break_off(person, path, size, crop):
        yield from list(read_recording(person, path, size, crop))[:1]
        raise UnusableFile("a frame of it cannot be decoded")

    monkeypatch.setattr(prepared, "read_recording", break_off)
    with pytest.raises(UnusableFile, match="a frame"):
        PreparedClips(tmp_path / "cache", 16, "none").read("ada", people / "ada/long.mp4")
    assert not list((tmp_path / "cache/ada").iterdir())


def test_of_two_devices_that_read_a_recording_at_once_one_keeps_it(people, tmp_path, monkeypatch):
    path = people / "ada/long.mp4"

    def read_after_another(*args):
        monkeypatch.setattr(prepared, "read_recording", read_recording)
        PreparedClips(tmp_path / "cache", 16, "none").read("ada", path)
        yield from read_recording(*args)

    monkeypatch.setattr(prepared, "read_recording", read_after_another)
    found = PreparedClips(tmp_path / "cache", 16, "none").read("ada", path)
    assert_same(found, list(read_recording("ada", path, 16, "none")))
    assert len(list((tmp_path / "cache/ada").iterdir())) == 1


def test_clips_are_mapped_and_writing_to_them_leaves_the_file_alone(people, tmp_path):
    kept = PreparedClips(tmp_path / "cache", 16, "none")
    first = kept.read("ada", people / "ada/long.mp4")[0]
    assert str(next((tmp_path / "cache").rglob("00000.safetensors"))) in Path("/proc/self/maps").read_text()
    before = first.frames.clone()
    first.frames.zero_()
    assert torch.equal(kept.read("ada", people / "ada/long.mp4")[0].frames, before)


def test_broken_clips_are_named_with_what_to_do(people, tmp_path):
    kept = PreparedClips(tmp_path / "cache", 16, "none")
    kept.read("ada", people / "ada/long.mp4")
    file = next((tmp_path / "cache").rglob("00000.safetensors"))
    file.write_bytes(b"broken")
    with pytest.raises(ValueError, match=f"Delete {file.parent}"):
        kept.read("ada", people / "ada/long.mp4")


def test_a_folder_that_cannot_hold_them_is_named(people, tmp_path, monkeypatch):
    def be_full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(prepared, "save_clip", be_full)
    with pytest.raises(OSError, match=r"cannot be kept in .*cache: No space left"):
        PreparedClips(tmp_path / "cache", 16, "none").read("ada", people / "ada/long.mp4")
    assert not list((tmp_path / "cache/ada").iterdir())


def test_a_device_that_may_not_warn_keeps_the_remarks_for_those_that_may(people, tmp_path, caplog):
    caplog.set_level(logging.ERROR, "datamodules")
    kept = PreparedClips(tmp_path / "cache", 16, "none")
    kept.read("bob", people / "bob/a.mp4")
    assert not caplog.messages
    caplog.set_level(logging.WARNING, "datamodules")
    kept.read("bob", people / "bob/a.mp4")
    assert len(caplog.messages) == 1
