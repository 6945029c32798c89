"""Frames and sound must lie on one clock, whatever wrote the file and whichever decoder reads it."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.clips import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, UnusableFile
from datamodules.reading import decoding
from datamodules.reading.decoding import decode_frames
from datamodules.reading.layouts import SUFFIXES
from datamodules.reading.sound import decode_sound
from datamodules.reading.video_stream import MISREAD_WIDTHS, VideoStream, probe_video
from datamodules.video import write_video

FILES = {
    "phone": {"name": "a.mp4", "fps": 30, "rate": 44_100, "layout": "stereo"},
    "late sound": {"name": "a.mp4", "sound_from": 0.6},
    "late picture": {"name": "a.mp4", "picture_from": 0.4},
    "late sound in webm": {"name": "a.webm", "rate": 48_000, "sound_from": 0.6},
    "mov": {"name": "a.mov", "fps": 50, "rate": 48_000},
    "mpg": {"name": "a.mpg", "rate": 44_100, "layout": "stereo"},
    "avi": {"name": "a.avi", "rate": 44_100},
    "webm": {"name": "a.webm", "fps": 30, "rate": 48_000, "layout": "stereo"},
    "mkv": {"name": "a.mkv", "sound_from": 0.6},
    "m4v": {"name": "a.m4v"},
    "3gp": {"name": "a.3gp", "fps": 15},
    "mpeg": {"name": "a.mpeg", "rate": 48_000},
    "mts": {"name": "a.mts", "fps": 50, "rate": 48_000},
    "late sound in m2ts": {"name": "a.m2ts", "rate": 48_000, "sound_from": 0.6},
    "wmv": {"name": "a.wmv", "rate": 44_100},
    "slow film": {"name": "a.mp4", "fps": 15, "rate": 22_050},
}


@pytest.fixture(params=["decord", "pyav"])
def decoder(request, monkeypatch):
    """Run a test with each decoder; decord is hidden as if it had no wheel."""
    if request.param == "pyav":
        monkeypatch.setitem(sys.modules, "decord", None)
    decoding.has_decord.cache_clear()
    if request.param == "decord" and not decoding.has_decord():
        pytest.skip("decord is not installed")
    yield request.param
    decoding.has_decord.cache_clear()


def read(path) -> tuple[torch.Tensor, torch.Tensor]:
    stream = probe_video(path)
    indices = stream.resampled()
    frames = torch.cat(list(decode_frames(stream, indices)))
    sound = decode_sound(path)
    return frames, sound.between(float(stream.times[0]), len(indices) * SAMPLES_PER_FRAME)


def clap_after_flash(path) -> float:
    """Return how much later than the flash the clap comes, in seconds."""
    frames, waveform = read(path)
    flash = int((frames.float().mean((1, 2, 3)) > 150).nonzero()[0]) / FPS
    clap = int((waveform.abs() > 0.3).nonzero()[0]) / SAMPLE_RATE
    return clap - flash


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_clap_and_flash_coincide_within_a_frame(record, decoder, kind):
    settings = dict(FILES[kind])
    assert abs(clap_after_flash(record(settings.pop("name"), **settings))) < 1 / FPS


def test_clap_and_flash_coincide_in_a_file_of_our_own_writer(tmp_path, decoder):
    frames = torch.full((50, 3, 32, 32), 60, dtype=torch.uint8)
    frames[30:34] = 255
    time = torch.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    waveform = torch.where((time >= 1.2) & (time < 1.35), 0.6 * torch.sin(2 * torch.pi * 900 * time), torch.zeros(()))
    write_video(tmp_path / "a.mp4", frames, waveform=waveform)
    assert abs(clap_after_flash(tmp_path / "a.mp4")) < 0.5 / FPS


def test_clap_and_flash_notices_a_writer_that_sets_no_time_stamps(record):
    assert clap_after_flash(record("a.mp4", audio_pts=False)) > 1 / FPS


def test_pyav_gives_the_frames_and_sound_that_decord_gives(record, monkeypatch):
    if not decoding.has_decord():
        pytest.skip("decord is not installed")
    path = record("a.mp4", fps=30, height=50, width=70)
    with_decord = read(path)
    monkeypatch.setitem(sys.modules, "decord", None)
    decoding.has_decord.cache_clear()
    assert not decoding.has_decord()
    without = read(path)
    decoding.has_decord.cache_clear()
    assert with_decord[0].shape == without[0].shape == (50, 3, 50, 70)
    assert (with_decord[0].float() - without[0].float()).abs().max() <= 2
    assert torch.equal(with_decord[1], without[1])


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_from_the_middle_of_a_film_are_those_that_were_asked_for(record, decoder, suffix):
    """Decord takes frames of MPEG streams for others where it has to find them again."""
    stream = probe_video(record(f"a{suffix}", seconds=7.0, event=3.8, rate=48_000))
    frames = torch.cat(list(decode_frames(stream, np.array([20, *range(80, 120)]))))
    bright = frames.float().mean((1, 2, 3)) > 150
    assert bright.nonzero().flatten().tolist() == [1 + index - 80 for index in range(95, 99)]


def test_decord_and_pyav_are_both_really_used(record, decoder, monkeypatch):
    used = []
    for name in ("decord", "pyav"):
        real = getattr(decoding, f"_decode_with_{name}")
        monkeypatch.setattr(decoding, f"_decode_with_{name}", lambda *a, n=name, r=real: used.append(n) or r(*a))
    read(record("a.mp4"))
    assert used == [decoder]


def test_few_frames_of_large_films_are_held_at_once(record, decoder, monkeypatch):
    stream = probe_video(record("a.mp4"))
    monkeypatch.setattr(decoding, "CHUNK_PIXELS", 3 * stream.height * stream.width)
    whole = torch.cat(chunks := list(decode_frames(stream, np.arange(10))))
    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 1]
    monkeypatch.undo()
    assert torch.equal(whole, torch.cat(list(decode_frames(stream, np.arange(10)))))


def test_nothing_is_decoded_after_the_last_frame_that_is_wanted(record, monkeypatch):
    monkeypatch.setattr(decoding, "has_decord", lambda: False)
    looked, nearest = [], decoding._nearest
    monkeypatch.setattr(decoding, "_nearest", lambda *args: looked.append(args) or nearest(*args))
    assert len(next(decode_frames(probe_video(record("a.mp4")), np.array([0, 2])))) == 2
    assert len(looked) == 3


@given(st.lists(st.sampled_from([0.0, 0.04, 0.1]), min_size=1, max_size=12), st.floats(-0.1, 1.5))
def test_a_frame_is_the_first_of_those_nearest_in_time(gaps, time):
    times = np.cumsum(gaps)
    assert decoding._nearest(times, time) == int(np.argmin(np.abs(times - time)))


@pytest.mark.parametrize(("curve", "is_hdr"), [("bt709", False), ("smpte2084", True), ("arib-std-b67", True)])
def test_colours_for_bright_screens_are_noticed(tmp_path, curve, is_hdr):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"x264-params": f"transfer={curve}"})
        video.height, video.width, video.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    assert probe_video(tmp_path / "a.mp4").is_hdr is is_hdr


@pytest.mark.parametrize("width", [*MISREAD_WIDTHS, 80])
def test_narrow_films_are_read(record, width):
    assert read(record("a.mp4", width=width))[0].shape == (50, 3, 48, width)


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 60])
def test_every_rate_becomes_25_frames_a_second(record, fps):
    stream = probe_video(record("a.mp4", fps=fps, seconds=1.5))
    assert abs(len(stream.resampled()) - 1.5 * FPS) < 1


@pytest.mark.slow
@given(st.lists(st.floats(0.001, 0.3), min_size=1, max_size=40))
def test_resampling_takes_the_stored_frame_nearest_in_time(gaps):
    times = np.concatenate([[3.0], 3 + np.cumsum(gaps)])
    stream = VideoStream("a.mp4", times, float(times[-1] - times[0]) + 0.04, 8, 8, 0)
    indices = stream.resampled()
    wanted = 3 + np.arange(len(indices)) / FPS
    nearest = np.abs(times[None] - wanted[:, None]).min(1)
    assert np.allclose(np.abs(times[indices] - wanted), nearest)
    assert (np.diff(indices) >= 0).all()


def lay_down(path) -> None:
    """Have an mp4 of 64 x 48 say that it must be turned a quarter clockwise."""
    content = bytearray(path.read_bytes())
    matrix = content.find(struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), content.find(b"tkhd"))
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(content)


def test_a_film_stored_lying_is_stood_upright(record, decoder):
    path = record("a.mp4", height=48, width=64)
    lay_down(path)
    stream = probe_video(path)
    frame = next(decode_frames(stream, np.array([3])))[0].float()
    assert (stream.height, stream.width) == tuple(frame.shape[1:]) == (64, 48)
    red = {"left": frame[0, :24, :20].mean(), "right": frame[0, :24, 28:].mean()}
    assert red["right"] < 0.7 * red["left"]  # a quarter turn clockwise takes the upper left corner to the upper right


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 80), (Fraction(1, 2), 30), (Fraction(1, 1), 60)])
def test_pixels_that_are_no_squares_are_made_squares(record, decoder, name, aspect, width):
    stream = probe_video(record(name, height=48, width=60, rate=48_000, pixel_aspect=aspect))
    frame = next(decode_frames(stream, np.array([3])))[0].float()
    assert (stream.height, stream.width) == tuple(frame.shape[1:]) == (48, width)
    red = frame[0, 4:20]
    assert red[:, : stream.width // 2 - 6].mean() < 0.7 * red[:, stream.width // 2 + 6 :].mean()


def test_a_lying_film_of_wide_pixels_is_stood_upright_and_stretched(record, decoder):
    path = record("a.mp4", height=48, width=64, pixel_aspect=Fraction(3, 2))
    lay_down(path)
    stream = probe_video(path)
    assert (stream.height, stream.width) == next(decode_frames(stream, np.array([3])))[0].shape[1:] == (96, 48)


def test_pixels_that_no_camera_has_are_taken_for_squares(record):
    stream = probe_video(record("a.mp4", height=48, width=60, pixel_aspect=Fraction(200, 1)))
    assert (stream.height, stream.width) == (48, 60)


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"no film at all " * 99, "no video")])
def test_what_is_no_film_is_refused_with_a_reason(tmp_path, content, reason):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match=reason):
        probe_video(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.webm"])
@pytest.mark.parametrize("part", [0.5, 0.8])
def test_a_truncated_file_is_refused(record, name, part):
    path = record(name, rate=48_000, seconds=3)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(UnusableFile, match=r"truncated|broken"):
        probe_video(path)


def test_a_sound_file_is_no_film(tmp_path, record):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(UnusableFile, match="no picture"):
        probe_video(path)
