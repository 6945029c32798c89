"""The demo people as files: whole, truthful, repeatable, and never drawn twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from datamodules.clips import SAMPLES_PER_FRAME
from datamodules.demo import people
from datamodules.demo.opening import mouth_opening
from datamodules.demo.people import make_demo_people
from datamodules.demo.person import CLIENTS, draw_person, name_of, number_of_clips
from datamodules.demo.recording import record
from datamodules.demo.seeds import HELD_OUT_SEEDS, PRIVATE_SEEDS, PUBLIC_SEEDS
from datamodules.reading.recordings import read_recording


@pytest.mark.slow
def test_a_clip_comes_back_through_the_loader_with_its_truth(tmp_path, recorded):
    (path,) = make_demo_people(tmp_path, [3001], clips_per_person=1)
    assert path == tmp_path / "bela" / "clip_00.mp4"
    (clip,) = read_recording("bela", path, 64, "none")
    truth = recorded(3001)
    assert clip.frames.shape == truth.frames.shape == (75, 3, 64, 64)
    torch.testing.assert_close(clip.motion, truth.motion)
    torch.testing.assert_close(clip.mouth, truth.mouth)
    assert (clip.frames.float() - truth.frames.float()).pow(2).mean() < 160
    assert np.corrcoef(mouth_opening(clip.frames), clip.mouth)[0, 1] >= 0.95
    sound = clip.waveform[: 74 * SAMPLES_PER_FRAME], truth.waveform[: 74 * SAMPLES_PER_FRAME]
    assert np.corrcoef(*sound)[0, 1] > 0.95


@pytest.mark.slow
def test_clips_that_stand_are_kept_and_broken_or_old_ones_drawn_again(tmp_path, monkeypatch):
    first, second = make_demo_people(tmp_path, [1000], clips_per_person=2)
    stamp, bytes_of_first = first.stat().st_mtime_ns, first.read_bytes()
    second.with_suffix(".truth.safetensors").write_bytes(b"broken")
    make_demo_people(tmp_path, [1000], clips_per_person=2)
    assert first.stat().st_mtime_ns == stamp
    assert set(load_file(second.with_suffix(".truth.safetensors"))) == {"motion", "mouth"}
    monkeypatch.setattr(people, "GENERATOR", "another")
    make_demo_people(tmp_path, [1000], clips_per_person=1)
    assert first.stat().st_mtime_ns > stamp
    assert first.read_bytes() == bytes_of_first
    with safe_open(first.with_suffix(".truth.safetensors"), "pt") as file:
        assert file.metadata()["generator"] == "another"
    assert not [path for path in tmp_path.rglob("*partial*")]


@pytest.mark.slow
def test_two_processes_write_the_same_files_as_one(tmp_path):
    one, two = (make_demo_people(tmp_path / str(n), [1000, 3002], 2, processes=n) for n in (1, 2))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.parametrize("size", [32, 65])
def test_sizes_that_cannot_be_drawn_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=f"at least 64 pixels. Got {size}"):
        make_demo_people(tmp_path, [1000], size=size)


def test_the_same_seed_and_clip_are_the_same_recording_and_others_are_not():
    first, again, other = (record(draw_person(1004), clip, frames=20) for clip in (0, 0, 1))
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.waveform, again.waveform)
    assert not torch.equal(first.mouth, other.mouth)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1000, 1005, 2003, 3000, 3006])
def test_truth_is_within_its_ranges_and_moves(recorded, seed):
    clip = recorded(seed)
    assert clip.motion.shape == (75, 6)
    assert clip.motion[:, :3].abs().max() <= 0.7
    assert clip.motion[:, 3:5].abs().max() <= 0.25
    assert clip.motion[:, 5].min() == 0
    assert clip.motion[:, 5].max() > 0.8
    assert clip.mouth.min() >= 0
    assert clip.mouth.max() <= 1
    assert clip.mouth.std() > 0.1


def test_clients_are_unequal_and_disjoint_from_the_public():
    names = [name_of(seed) for seed in PRIVATE_SEEDS]
    assert names == sorted(set(names))
    assert len(names) == 8
    assert {number_of_clips(seed) for seed in PRIVATE_SEEDS} >= {3, 8}
    assert sum(client.shaky for client in CLIENTS.values()) == 1
    assert not set(PUBLIC_SEEDS) & set(HELD_OUT_SEEDS) | set(PUBLIC_SEEDS) & set(PRIVATE_SEEDS)
    assert len(PUBLIC_SEEDS) >= 600


@pytest.mark.slow
def test_shaky_footage_trembles_more_than_any_other(recorded):
    def tremble(seed: int) -> float:
        return float(recorded(seed).motion[:, 3:5].diff(dim=0).abs().mean())

    assert tremble(3006) > 3 * max(tremble(seed) for seed in (3000, 3001, 1000))
