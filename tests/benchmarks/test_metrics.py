"""Scores must know the right answer where it is known, and must not flatter what does not move."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.metrics import best_lag, correlation, estimate, motion_energy, psnr, sound_energy, ssim
from datamodules.clips import SAMPLES_PER_FRAME


def pictures(frames: int = 3) -> torch.Tensor:
    return torch.randint(20, 200, (frames, 3, 32, 32)).to(torch.uint8)


def test_psnr_of_a_known_error_is_averaged_over_frames():
    target = pictures(2)
    frames = target.clone()
    frames[0] += 5
    frames[1] += 50
    each = [20 * math.log10(255 / error) for error in (5, 50)]
    assert psnr(frames, target) == pytest.approx(sum(each) / 2, abs=1e-3)


def test_equal_frames_score_a_finite_psnr_and_an_ssim_of_one():
    target = pictures()
    assert psnr(target, target) == 100
    assert ssim(target, target) == pytest.approx(1)
    assert ssim(pictures(), target) < 0.2


def test_correlation_is_signed_and_gives_nothing_for_standing_still():
    truth = torch.rand(25)
    assert correlation(3 * truth + 1, truth) == pytest.approx(1)
    assert correlation(-truth, truth) == pytest.approx(-1)
    assert correlation(torch.ones(25), truth) == 0
    assert math.isnan(correlation(truth, torch.ones(25)))


def test_an_estimate_is_the_mean_over_clips_within_an_interval_over_people():
    values = [0.2, 0.4, 0.8, 0.9, float("nan")]
    found = estimate(values, ["ann", "ann", "bob", "cleo", "cleo"])
    assert found.mean == pytest.approx((0.2 + 0.4 + 0.8 + 0.9) / 4)
    assert 0.3 <= found.low < found.mean < found.high <= 0.9


def test_clips_of_one_person_do_not_narrow_the_interval():
    values, people = [0.0, 1.0, 0.5, 0.7], ["ann", "bob", "cleo", "dan"]
    once, often = estimate(values, people), estimate(values * 20, people * 20)
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_one_person_has_no_interval():
    assert estimate([0.5, 0.7], ["ann", "ann"]).low is None


@pytest.mark.parametrize("lag", [-3, 0, 4])
def test_the_lag_between_sound_and_motion_is_found(lag):
    track = torch.rand(60)
    found = best_lag(track[10:50], track[10 - lag : 50 - lag])
    assert found.lag == lag
    assert found.r == pytest.approx(1)


def test_sound_and_motion_are_measured_where_they_happen():
    waveform = torch.zeros(10 * SAMPLES_PER_FRAME)
    waveform[6 * SAMPLES_PER_FRAME : 7 * SAMPLES_PER_FRAME] = 0.5
    assert sound_energy(waveform, 10).tolist() == [0] * 6 + [0.5] + [0] * 3
    frames = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    frames[6] = 255
    assert motion_energy(frames).argmax() == 6
    assert motion_energy(frames)[:5].max() == 0
