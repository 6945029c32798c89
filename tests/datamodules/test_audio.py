"""What a video frame hears."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch

from datamodules.audio import (
    LOUDNESS,
    MEL_BANDS,
    MEL_STEPS,
    STEPS_PER_FRAME,
    equalise_loudness,
    log_mel_windows,
    read_audio,
    sound_encoder,
)
from datamodules.clips import SAMPLE_RATE, SAMPLES_PER_FRAME


def speak(seconds: float, seed: int = 0) -> torch.Tensor:
    return 0.05 * torch.randn(int(seconds * SAMPLE_RATE), generator=torch.Generator().manual_seed(seed))


def write_wav(path, waveform: np.ndarray, rate: int = SAMPLE_RATE, channels: int = 1):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((waveform * 32767).astype("<i2").repeat(channels).tobytes())
    return path


def test_windows_have_the_promised_shape_and_range():
    windows = log_mel_windows(speak(2), 50)
    assert windows.shape == (50, MEL_STEPS, MEL_BANDS) == (50, 20, 80)
    assert windows.min() >= -1
    assert windows.max() < 1.2


def test_a_frame_hears_itself_and_two_frames_on_either_side():
    waveform = torch.zeros(20 * SAMPLES_PER_FRAME)
    waveform[10 * SAMPLES_PER_FRAME + 320] = 1.0  # a click in the middle of frame 10
    heard = (log_mel_windows(waveform, 20) > -0.99).any(2)
    assert [frame for frame in range(20) if heard[frame].any()] == [8, 9, 10, 11, 12]
    for frame in range(8, 13):  # and it lies where frame 10 is in the window of each
        middle = heard[frame].nonzero().float().mean().item()
        assert abs(middle + 0.5 - STEPS_PER_FRAME * (10 - frame + 2.5)) <= 0.5


def test_neighbours_share_what_both_hear():
    windows = log_mel_windows(speak(1), 25)
    assert torch.equal(windows[1:, :-STEPS_PER_FRAME], windows[:-1, STEPS_PER_FRAME:])


def test_no_frame_depends_on_sound_outside_its_window():
    waveform = speak(2)
    louder = waveform.clone()
    louder[30 * SAMPLES_PER_FRAME :] *= 10
    before, after = log_mel_windows(waveform, 50), log_mel_windows(louder, 50)
    assert torch.equal(before[:27], after[:27])
    assert not torch.equal(before[28], after[28])


@pytest.mark.parametrize("samples", [0, 100, 24 * SAMPLES_PER_FRAME + 7, 40 * SAMPLES_PER_FRAME])
def test_sound_of_any_length_is_fitted_to_the_video(samples):
    waveform = speak(2)[:samples]
    fitted = torch.zeros(25 * SAMPLES_PER_FRAME)
    fitted[: min(samples, len(fitted))] = waveform[: len(fitted)]
    assert torch.equal(log_mel_windows(waveform, 25), log_mel_windows(fitted, 25))


def test_a_tone_lights_its_band():
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    low, high = (log_mel_windows(0.1 * torch.sin(2 * torch.pi * f * time), 25)[12, 10].argmax() for f in (300, 3000))
    assert low < high


@pytest.mark.parametrize("level", [0.01, 1.0, 5.0])
def test_level_of_the_recording_and_pauses_do_not_matter(level):
    spoken = speak(2)
    expected = equalise_loudness(spoken)
    paused = equalise_loudness(torch.cat([level * spoken, torch.zeros(3 * SAMPLE_RATE)]))
    assert torch.allclose(paused[: len(spoken)], expected, rtol=1e-3, atol=1e-5)
    assert expected.square().mean().sqrt().item() == pytest.approx(LOUDNESS, rel=0.01)


def test_nothing_clips():
    spiked = speak(2)
    spiked[100] = 3.0
    assert equalise_loudness(spiked * 0.01).abs().max() <= 1


def test_silence_stays_silent():
    assert not equalise_loudness(torch.zeros(1000)).any()


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
def test_any_rate_and_stereo_become_16_khz_mono(tmp_path, rate, channels):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    waveform = read_audio(write_wav(tmp_path / "a.wav", tone, rate, channels))
    assert abs(len(waveform) - SAMPLE_RATE) < 50
    spectrum = torch.fft.rfft(waveform[:SAMPLE_RATE]).abs()
    assert abs(spectrum.argmax().item() - 440) <= 1


def test_unreadable_sound_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav"):
        read_audio(tmp_path / "nowhere.wav")
    for name, content in {"empty.wav": b"", "text.wav": b"no sound" * 50}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            read_audio(tmp_path / name)
    with pytest.raises(ValueError, match=r"quiet\.wav is silent"):
        read_audio(write_wav(tmp_path / "quiet.wav", np.zeros(16_000)))


def test_a_model_hears_with_its_own_speech_model_if_it_has_one():
    def own(waveform, frames):
        return waveform[:frames]

    assert sound_encoder(own) is own
    assert sound_encoder(None) is log_mel_windows


def test_windows_that_overlap_share_their_memory():
    windows = log_mel_windows(torch.rand(16_000), 25)
    assert windows.shape == (25, 20, 80)
    assert windows.untyped_storage().nbytes() < windows.numel() * 4 / 4
