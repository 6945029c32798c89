"""Sound and motion on one clock; a driving video is used or refused, never ignored."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datamodules.clips import SAMPLES_PER_FRAME
from datamodules.driving import read_driving, read_motion
from datamodules.reading.decoding import decode_frames
from datamodules.reading.video_stream import probe_video
from datamodules.video import write_video


@pytest.fixture
def video(tmp_path):
    """Twenty frames of grey and a hum that starts in the middle, with its motion beside it."""
    waveform = 0.3 * torch.sin(torch.arange(20 * SAMPLES_PER_FRAME) / 5)
    waveform[: 10 * SAMPLES_PER_FRAME] = 0
    write_video(tmp_path / "a.mp4", torch.full((20, 3, 16, 16), 90, dtype=torch.uint8), waveform=waveform)
    save_file({"motion": torch.arange(20.0)[:, None].repeat(1, 6)}, tmp_path / "a.truth.safetensors")
    return tmp_path / "a.mp4"


def test_sound_alone_leaves_the_motion_open(video):
    driving = read_driving(video, None)
    assert driving.motion is None
    assert driving.frames in (20, 21)


def test_the_sound_of_a_video_lies_under_its_motion(video):
    driving = read_driving(None, video)
    assert driving.frames == len(driving.motion) == 20
    loud = driving.waveform.abs().view(20, -1).amax(1) > 0.05
    assert loud.tolist() == [False] * 10 + [True] * 10


def test_a_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
    """FFmpeg looked for something of protocol a, and said "Protocol not found"."""
    monkeypatch.chdir(tmp_path)
    waveform = 0.3 * torch.sin(torch.arange(20 * SAMPLES_PER_FRAME) / 5)
    write_video("a:b.mp4", torch.full((20, 3, 32, 32), 90, dtype=torch.uint8), waveform=waveform)
    save_file({"motion": torch.zeros(20, 6)}, "a:b.truth.safetensors")
    assert read_driving("a:b.mp4", None).frames in (20, 21)
    assert read_driving(None, "a:b.mp4").frames == 20
    frames = decode_frames(probe_video(Path("a:b.mp4")), np.arange(20))
    assert sum(map(len, frames)) == 20


def test_the_shorter_of_sound_and_motion_ends_the_video(video, caplog):
    sidecar = video.with_name("a.truth.safetensors")
    save_file({"motion": torch.arange(12.0)[:, None].repeat(1, 6)}, sidecar)
    with caplog.at_level(logging.WARNING):
        driving = read_driving(video, video)
    assert driving.frames == len(driving.motion) == 12
    assert "cut to the 0.48 s of head motion" in caplog.text
    save_file({"motion": torch.arange(99.0)[:, None].repeat(1, 6)}, sidecar)
    driving = read_driving(video, video)
    assert driving.frames == len(driving.motion) < 99


def test_nothing_to_drive_with_is_refused():
    with pytest.raises(ValueError, match="Got neither"):
        read_driving(None, None)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"mouth": torch.zeros(5)}, "Got None"),
        ({"motion": torch.zeros(5, 4)}, r"Got \(5, 4\)"),
        ({"motion": torch.full((5, 6), torch.nan)}, "finite"),
    ],
)
def test_motion_that_is_none_is_refused(video, tensors, said):
    save_file(tensors, video.with_name("a.truth.safetensors"))
    with pytest.raises(ValueError, match=said):
        read_motion(video)


def test_a_broken_or_missing_motion_file_is_named(video):
    sidecar = video.with_name("a.truth.safetensors")
    sidecar.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        read_motion(video)
    sidecar.unlink()
    with pytest.raises(ValueError, match=r"a\.truth\.safetensors.*--driving_audio"):
        read_motion(video)
