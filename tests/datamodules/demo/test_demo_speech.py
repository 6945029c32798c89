"""The mouth must be audible: what the ear hears tells how far the mouth is open."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules.audio import log_mel_windows
from datamodules.clips import SAMPLES_PER_FRAME
from datamodules.demo.person import draw_person
from datamodules.demo.speech import Voice, speak


@pytest.mark.parametrize("voice", [Voice(100, 0.95), Voice(240, 1.2)])
def test_sound_is_as_long_as_the_pictures_and_in_range(voice):
    speech = speak(voice, 50, 25, np.random.default_rng(0))
    assert len(speech.waveform) == 50 * SAMPLES_PER_FRAME
    assert len(speech.opening) == len(speech.width) == 50
    assert 0.2 < np.abs(speech.waveform).max() <= 1
    assert speech.waveform.dtype == np.float32


def test_pitch_of_the_voice_is_heard():
    def strongest(pitch: float) -> float:
        wave = speak(Voice(pitch, 1.0), 100, 25, np.random.default_rng(1)).waveform
        echo = np.fft.irfft(np.abs(np.fft.rfft(wave, 2 * len(wave))) ** 2)[: len(wave)]
        lags = np.arange(50, 200)
        return 16_000 / lags[echo[lags].argmax()]

    assert strongest(110) == pytest.approx(110, rel=0.15)
    assert strongest(220) == pytest.approx(220, rel=0.15)


@pytest.mark.slow
def test_a_linear_ear_hears_the_mouth_of_people_it_never_met():
    clips = [speak(draw_person(seed).voice, 75, 25, np.random.default_rng(seed)) for seed in range(1000, 1020)]
    # Every second mel step and band: enough to hear by, and a small matrix to solve.
    heard = [log_mel_windows(torch.from_numpy(c.waveform), 75)[:, ::2, ::2].flatten(1).double().numpy() for c in clips]
    mouths = [clip.opening.astype(float) for clip in clips]
    known, opening = np.concatenate(heard[:15]), np.concatenate(mouths[:15])
    middle = known.mean(0)
    ridge = (known - middle).T @ (known - middle) + 20 * np.eye(known.shape[1])
    weights = np.linalg.solve(ridge, (known - middle).T @ (opening - opening.mean()))

    def scores(sounds: list[np.ndarray]) -> list[float]:
        return [np.corrcoef((s - middle) @ weights, m)[0, 1] for s, m in zip(sounds, mouths[15:], strict=True)]

    assert np.mean(scores(heard[15:])) > 0.85
    # The wrong sound must tell nothing.
    assert np.mean(scores(heard[16:] + heard[15:16])) < 0.4
