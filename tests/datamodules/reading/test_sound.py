"""Sound keeps its place in time."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from datamodules.clips import SAMPLE_RATE, UnusableFile
from datamodules.reading.sound import Sound, decode_sound


def test_silence_fills_what_the_sound_does_not_cover():
    sound = Sound(np.ones(100, np.float32), start=1.0)
    piece = sound.between(1.0 - 10 / SAMPLE_RATE, 200)
    assert piece.tolist() == [0.0] * 10 + [1.0] * 100 + [0.0] * 90
    assert sound.between(1.0 + 40 / SAMPLE_RATE, 30).tolist() == [1.0] * 30
    assert not sound.between(5.0, 20).any()
    assert not sound.between(-5.0, 20).any()


def test_a_pause_in_the_time_stamps_becomes_silence(tmp_path):
    """Browsers record no packets while nobody speaks."""
    path = tmp_path / "a.webm"
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        for index in range(50):
            frame = av.AudioFrame.from_ndarray(tone[None, index * 960 : (index + 1) * 960], format="flt", layout="mono")
            late = 48_000 if index >= 25 else 0
            frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 960 + late, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    sound = decode_sound(path)
    loud = np.abs(sound.waveform) > 0.1
    half, second = SAMPLE_RATE // 2, SAMPLE_RATE
    margin = SAMPLE_RATE // 25
    assert abs(len(loud) - 2 * second) < margin
    assert loud[margin : half - margin].mean() > 0.5
    assert not loud[half + margin : half + second - margin].any()
    assert loud[half + second + margin : 2 * second - margin].mean() > 0.5


def test_a_second_of_any_rate_is_a_second(tmp_path):
    """The last samples stay in the resampler until it is told that no more will come."""
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, 44_100), 8000, np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert abs(len(decode_sound(tmp_path / "a.wav").waveform) - SAMPLE_RATE) <= 1


def test_a_file_without_sound_has_none(record):
    assert decode_sound(record("a.mp4", sound=None)) is None


def write_sound(path, samples: np.ndarray, codec: str, rate: int = 16_000, density: float = 1.0) -> None:
    """Write sound in frames of 20 ms, stamped as if there were `density` times as many samples a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for first in range(0, len(samples), 320):
            form = "flt" if samples.dtype == np.float32 else "s16"
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + 320], format=form, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, round(first / density), Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_sound_with_more_samples_than_its_stamps_have_room_for_stays_on_the_clock(tmp_path):
    samples = np.zeros(20 * 16_000, np.int16)
    samples[-8_000:-7_840] = 20_000
    write_sound(tmp_path / "a.mkv", samples, "pcm_s16le", density=1.01)
    clap = np.flatnonzero(np.abs(decode_sound(tmp_path / "a.mkv").waveform) > 0.3)[0] / SAMPLE_RATE
    assert abs(clap - 19.5 / 1.01) < 0.06  # it came .19 s late


def test_sound_of_what_is_no_number_is_of_no_use(tmp_path):
    samples = np.full(16_000, 0.1, np.float32)
    samples[8_000] = np.nan
    write_sound(tmp_path / "a.wav", samples, "pcm_f32le")
    with pytest.raises(UnusableFile, match="no numbers"):
        decode_sound(tmp_path / "a.wav")
