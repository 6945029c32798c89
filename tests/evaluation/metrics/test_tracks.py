"""Correlations must find a mouth that follows the sound, and give nothing to one that stands still or is someone's."""

from __future__ import annotations

import math

import pytest
import torch

from datamodules.clips import SAMPLES_PER_FRAME
from evaluation.metrics.tracks import best_lag, correlation, motion_energy, sound_energy


def test_correlation_is_signed_and_gives_nothing_for_standing_still():
    truth = torch.rand(25)
    assert correlation(3 * truth + 1, truth) == pytest.approx(1)
    assert correlation(-truth, truth) == pytest.approx(-1)
    assert correlation(torch.ones(25), truth) == 0
    assert math.isnan(correlation(truth, torch.ones(25)))


@pytest.mark.parametrize("lag", [-3, 0, 4])
def test_the_lag_between_sound_and_motion_is_found(lag):
    track = torch.rand(60)
    found = best_lag(track[10:50], track[10 - lag : 50 - lag])
    assert found.lag == lag
    assert found.r == pytest.approx(1)


def test_a_sound_that_does_not_change_has_no_lag():
    found = best_lag(torch.zeros(30), torch.rand(30))
    assert math.isnan(found.r)
    assert math.isnan(found.lag)


def test_another_clips_sound_is_noticed():
    sounds = torch.rand(2, 60)
    assert best_lag(sounds[0], sounds[0]).r > best_lag(sounds[0], sounds[1]).r + 0.4


def test_sound_and_motion_are_measured_where_they_happen():
    waveform = torch.zeros(10 * SAMPLES_PER_FRAME)
    waveform[6 * SAMPLES_PER_FRAME : 7 * SAMPLES_PER_FRAME] = 0.5
    assert sound_energy(waveform, 10).tolist() == [0] * 6 + [0.5] + [0] * 3
    frames = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    frames[6] = 255
    assert motion_energy(frames).argmax() == 6
    assert motion_energy(frames)[:5].max() == 0
