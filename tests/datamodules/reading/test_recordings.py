"""From a file to clips, or to one clear reason why not."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datamodules.clips import FPS, SAMPLES_PER_FRAME, UnusableFile
from datamodules.reading import cropping, recordings
from datamodules.reading.cropping import Face
from datamodules.reading.recordings import LOOKS, longest_run, read_recording
from datamodules.reading.video_stream import VideoStream


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {"fps": 30, "height": 90, "width": 122, "rate": 44_100, "layout": "stereo"}),
        ("a.mov", {"height": 34, "width": 34}),
        ("a.mpg", {"rate": 44_100, "layout": "stereo"}),
        ("a.avi", {"rate": 44_100, "height": 66}),
        ("a.webm", {"fps": 15, "rate": 48_000, "height": 51, "width": 77}),
        ("a.mkv", {"fps": 30, "height": 66}),
        ("a.m4v", {}),
        ("a.3gp", {"fps": 15}),
        ("a.mpeg", {"rate": 48_000}),
        ("a.mts", {"fps": 50, "rate": 48_000}),
        ("a.m2ts", {"fps": 50, "rate": 48_000}),
        ("a.wmv", {"rate": 44_100}),
    ],
)
def test_any_container_rate_and_size_becomes_the_same_kind_of_clip(record, name, settings):
    path = record(name, **settings)
    (clip,) = read_recording("ada", path, 32, "none")
    assert clip.frames.shape[1:] == (3, 32, 32)
    assert clip.frames.dtype == torch.uint8
    assert abs(len(clip.frames) - 2 * FPS) <= 1
    assert clip.waveform.shape == (len(clip.frames) * SAMPLES_PER_FRAME,)
    assert clip.waveform.abs().max() <= 1
    assert (clip.person, clip.name, clip.path, clip.start) == ("ada", "a", path, 0.0)
    assert clip.motion is clip.mouth is None


def test_a_long_recording_is_cut_with_its_sound_and_its_truth(record):
    path = record("long.mp4", seconds=7.0, event=3.8)
    mouth = torch.arange(175.0)
    save_file({"motion": mouth[:, None].repeat(1, 6), "mouth": mouth}, path.with_name("long.truth.safetensors"))
    first, second = read_recording("ada", path, 32, "none")
    assert (first.name, second.name) == ("long-01", "long-02")
    assert (first.start, second.start) == (0.0, 3.2)
    assert torch.equal(first.mouth, mouth[:75])
    assert torch.equal(second.mouth, mouth[80:175])
    assert torch.equal(second.motion[:, 3], mouth[80:175])
    flash = int((second.frames.float().mean((1, 2, 3)) > 150).nonzero()[0])
    clap = int((second.waveform.abs() > 0.5 * second.waveform.abs().max()).nonzero()[0])
    assert flash == 95 - 80
    assert abs(clap / SAMPLES_PER_FRAME - flash) < 1


def test_clips_share_no_memory_with_the_recording(record):
    first, _ = read_recording("ada", record("long.mp4", seconds=7.0), 16, "none")
    assert first.waveform.untyped_storage().nbytes() == first.waveform.nbytes


def test_truth_that_does_not_fit_is_left_out_by_name(record, caplog):
    path = record("a.mp4")
    save_file({"motion": torch.zeros(9, 6), "mouth": torch.zeros(9)}, path.with_name("a.truth.safetensors"))
    (clip,) = read_recording("ada", path, 16, "none")
    assert clip.mouth is None
    assert "a.truth.safetensors is left out: it must hold 50 frames" in caplog.text


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sound": None}, "no sound"),
        ({"sound": "silence"}, "silent"),
        ({"seconds": 0.6, "event": 0.1}, r"too short: 0\.60 s"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(record, settings, reason):
    with pytest.raises(UnusableFile, match=reason):
        list(read_recording("ada", record("a.mp4", **settings), 16, "none"))


def test_a_recording_without_a_face_is_refused_where_one_is_demanded(record):
    with pytest.raises(UnusableFile, match="no face"):
        list(read_recording("ada", record("a.mp4"), 16, "face"))


def test_silent_pieces_are_left_out_by_name(record, caplog):
    """What a microphone that was switched off leaves: nobody can learn or score a mouth by it."""
    path = record("long.mp4", seconds=11.0, sound_to=2.0)
    (only,) = read_recording("ada", path, 16, "none")
    assert (only.name, len(only.frames)) == ("long-01", 75)
    assert caplog.messages == [f"{path} is used without long-02, long-03: its sound is silent there."]


def test_sound_in_the_gap_between_two_pieces_alone_is_none(record, monkeypatch):
    monkeypatch.setattr(recordings, "cut_recording", lambda frames: [range(20), range(60, frames)])
    path = record("a.mp4", seconds=4.0, sound_from=1.4, sound_to=1.8, event=1.5)
    with pytest.raises(UnusableFile, match="silent"):
        list(read_recording("ada", path, 16, "none"))


def test_a_piece_without_a_face_is_left_out_by_name_where_one_is_demanded(record, monkeypatch, caplog):
    """The square of the piece before serves where a face is only wished for."""
    path, looks = record("long.mp4", seconds=11.0), count()
    monkeypatch.setattr(cropping, "_largest_face", lambda *_: Face(32, 24, 20) if next(looks) < LOOKS else None)
    (only,) = read_recording("ada", path, 16, "face")
    assert only.name == "long-01"
    assert caplog.messages == [f"{path} is used without long-02, long-03: no face was found there."]
    looks = count()
    assert [clip.name for clip in read_recording("ada", path, 16, "auto")] == ["long-01", "long-02", "long-03"]


@pytest.mark.parametrize("crop", ["auto", "face"])
def test_a_frame_that_cannot_be_decoded_is_not_taken_for_one_without_a_face(record, monkeypatch, crop):
    path, decode = record("long.mp4", seconds=11.0), recordings.decode_frames

    def damaged(stream, indices):
        yield from decode(stream, indices[: LOOKS + 1])
        raise UnusableFile("a frame of it is damaged")

    monkeypatch.setattr(recordings, "decode_frames", damaged)
    monkeypatch.setattr(cropping, "_largest_face", lambda *_: Face(32, 24, 20))
    with pytest.raises(UnusableFile, match="is damaged"):
        list(read_recording("ada", path, 16, crop))


@pytest.mark.parametrize(
    ("indices", "longest"), [([0, 1, 2], 1), ([0, 0, 1, 1, 1], 3), ([4] * 6, 6), ([0, 1, 0, 0], 2)]
)
def test_a_picture_that_stands_still_is_measured(indices, longest):
    assert longest_run(np.array(indices)) == longest


def test_pieces_whose_picture_stands_still_are_left_out_by_name(record, monkeypatch, caplog):
    """A call that froze, an app that was put aside: the sound goes on."""
    path, resampled = record("long.mp4", seconds=11.0), VideoStream.resampled
    frozen = slice(80, 160)
    monkeypatch.setattr(VideoStream, "resampled", lambda stream: freeze(resampled(stream), frozen))
    clips = list(read_recording("ada", path, 16, "none"))
    assert [clip.name for clip in clips] == ["long-01", "long-03"]
    assert caplog.messages == [f"{path} is used without long-02: its picture stands still there."]
    monkeypatch.setattr(VideoStream, "resampled", lambda stream: freeze(resampled(stream), slice(None)))
    with pytest.raises(UnusableFile, match="its picture stands still"):
        list(read_recording("ada", path, 16, "none"))


def freeze(indices: np.ndarray, where: slice) -> np.ndarray:
    indices[where] = indices[where][0]
    return indices


def test_a_film_whose_truth_would_have_too_long_a_name_has_none(record):
    path = record("a.mp4")
    path = path.rename(path.with_name("x" * 245 + ".mp4"))
    assert [clip.motion for clip in read_recording("ada", path, 16, "none")] == [None]
