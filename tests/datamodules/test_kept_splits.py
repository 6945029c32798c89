"""What was trained on is never scored, whatever becomes of the recordings."""

from __future__ import annotations

import json

import pytest

from datamodules import kept_splits
from datamodules.clients import ClientDataModule
from datamodules.kept_splits import FILE, keep_splits, list_splits, read_splits
from datamodules.pooled import PooledClients


@pytest.fixture
def record_clip(record):
    """Return a function that records a clip of a person's, each with the flash at another time."""
    return lambda person, number: record(f"people/{person}/c{number}.mp4", seconds=1.2, event=0.2 + number / 20)


@pytest.fixture
def open_people(record_clip, tmp_path):
    """Return a function that reads the people of a folder, who begin with five clips each."""
    for person in ("ada", "bob"):
        for number in range(5):
            record_clip(person, number)

    def open_people() -> ClientDataModule:
        data = ClientDataModule(str(tmp_path / "people"), 16, "none")
        data.setup()
        return data

    return open_people


USUAL = {"c0.mp4": "train", "c1.mp4": "train", "c2.mp4": "train", "c3.mp4": "val", "c4.mp4": "test"}


def test_clips_keep_their_split_when_others_come_and_go(open_people, record_clip, tmp_path):
    people, run = tmp_path / "people", tmp_path / "run"
    keep_splits(run, open_people(), goes_on=False)
    assert read_splits(run) == {"ada": USUAL, "bob": USUAL}
    (people / "ada" / "c4.mp4").rename(tmp_path / "c4.mp4")
    (people / "ada" / "c3.mp4").unlink()
    for number in range(5, 9):
        record_clip("bob", number)
    changed = open_people()
    assert list_splits(changed)["ada"]["c2.mp4"] == "test", "by its place it would be scored"
    keep_splits(run, changed, goes_on=True)
    assert list_splits(changed)["ada"] == {"c0.mp4": "train", "c1.mp4": "train", "c2.mp4": "train"}
    assert list_splits(changed)["bob"] == USUAL | {f"c{number}.mp4": "train" for number in range(5, 9)}
    (tmp_path / "c4.mp4").rename(people / "ada" / "c4.mp4")
    returned = open_people()
    keep_splits(run, returned, goes_on=True)
    assert list_splits(returned)["ada"]["c4.mp4"] == "test"


def test_a_run_that_begins_takes_nothing_over_and_further_devices_take_what_the_first_wrote(
    open_people, tmp_path, monkeypatch
):
    run, data = tmp_path / "run", open_people()
    (run / "local").mkdir(parents=True)
    (run / FILE).write_text(json.dumps({"ada": {"c0.mp4": "test"}}))  # of a start that came to nothing
    keep_splits(run, data, goes_on=False)
    assert list_splits(data)["ada"] == USUAL
    (run / FILE).write_text(json.dumps({"ada": USUAL | {"c4.mp4": "train", "c0.mp4": "test"}}))
    monkeypatch.setattr(kept_splits, "is_first_device", lambda: False)
    other, written = open_people(), (run / FILE).read_text()
    keep_splits(run, other, goes_on=False)
    assert list_splits(other)["ada"]["c0.mp4"] == "test"
    assert (run / FILE).read_text() == written


def test_whoever_has_nothing_left_to_train_on_is_named(open_people, tmp_path):
    run = tmp_path / "run"
    keep_splits(run, open_people(), goes_on=False)
    for number in range(3):
        (tmp_path / "people" / "bob" / f"c{number}.mp4").unlink()
    with pytest.raises(ValueError, match=r"bob must have a clip that this run has not held out\. Got c3, c4 alone"):
        keep_splits(run, open_people(), goes_on=True)


def test_a_recording_that_arrives_under_the_same_name_moves_nobody(open_people, record, tmp_path):
    """Clips of both get longer names then."""
    run = tmp_path / "run"
    keep_splits(run, open_people(), goes_on=False)
    record("people/ada/c4.m4v", seconds=1.2)
    changed = open_people()
    keep_splits(run, changed, goes_on=True)
    assert list_splits(changed)["ada"] == USUAL | {"c4.m4v": "train"}
    assert [clip.name for clip in changed.splits("ada")["test"]] == ["c4.mp4"]


@pytest.mark.parametrize(("copied", "split"), [("c4.mp4", "test"), ("c0.mp4", "train")])
def test_a_copy_with_a_shorter_name_has_the_split_of_what_it_takes_the_place_of(open_people, tmp_path, copied, split):
    people, run = tmp_path / "people" / "ada", tmp_path / "run"
    keep_splits(run, open_people(), goes_on=False)
    (people / "c.mp4").write_bytes((people / copied).read_bytes())
    changed = open_people()
    keep_splits(run, changed, goes_on=True)
    assert list_splits(changed)["ada"] == {name: where for name, where in USUAL.items() if name != copied} | {
        "c.mp4": split
    }


def test_what_was_trained_on_under_another_name_is_not_scored(open_people, tmp_path):
    """A run of before copies were known had one in train and the other in test."""
    people, run = tmp_path / "people" / "ada", tmp_path / "run"
    (people / "c4 (1).mp4").write_bytes((people / "c4.mp4").read_bytes())
    (run / "local").mkdir(parents=True)
    (run / FILE).write_text(json.dumps({"ada": USUAL | {"c4 (1).mp4": "train"}}))
    changed = open_people()
    keep_splits(run, changed, goes_on=True)
    assert list_splits(changed)["ada"]["c4.mp4"] == "train"


def test_pooled_clips_keep_their_splits_too(open_people, tmp_path):
    run, people = tmp_path / "run", tmp_path / "people"
    keep_splits(run, open_people(), goes_on=False)
    (people / "ada" / "c4.mp4").unlink()
    pooled = PooledClients(str(people), 16, "none")
    pooled.setup()
    keep_splits(run, pooled, goes_on=True)
    assert [(clip.person, clip.source) for clip in pooled.splits("everyone")["test"]] == [("bob", "c4.mp4")]


@pytest.mark.parametrize("written", ["[", "[1]", '{"ada": 3}', '{"ada": {"c0.mp4": "tset"}}'])
def test_a_broken_file_is_named(tmp_path, written):
    (tmp_path / "local").mkdir()
    (tmp_path / FILE).write_text(written)
    with pytest.raises(ValueError, match=r"splits\.json must hold train, val or test for every clip"):
        read_splits(tmp_path)
