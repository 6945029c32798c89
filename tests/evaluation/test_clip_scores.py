"""One table for all systems: anchors and faults must be ordered as anybody would order them."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from evaluation.anchors import AUTOENCODER, NOISE, RECORDED, STATIC, noise, static_copy
from evaluation.catalogue import METRICS, find_metric
from evaluation.clip_scores import evaluate_cases, score_landmarks
from evaluation.metrics.landmarks import Layout
from evaluation.protocols import Judges
from evaluation.table import summarise
from tests.evaluation.drawn import draw_cases
from tests.evaluation.judged import NAMES, PLACES, tiny_judges

PEOPLE = 4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases():
    return draw_cases(PEOPLE, frames=18)[::2]


@pytest.fixture(scope="module")
def table(cases):
    blurred = [(case.frames // 16) * 16 + 8 for case in cases]
    made = {
        NOISE: [noise(case) for case in cases],
        STATIC: [static_copy(case) for case in cases],
        RECORDED: [case.frames for case in cases],
        AUTOENCODER: blurred,
        "backwards": [case.frames.flip(0) for case in cases],
        "next person": [case.frames for case in cases[1:] + cases[:1]],
    }
    return summarise(evaluate_cases(cases, made, tiny_judges()), reference_system=STATIC)


def mean(table, system: str, metric: str) -> float:
    return table.mean(system, metric).mean


def test_every_metric_of_a_clip_is_scored_for_every_system(table):
    per_clip = [metric for metric in METRICS if metric.group not in ("sets of frames", "time")]
    assert {find_metric(name) for name in table.metrics} == set(per_clip)
    assert len(table.means) == len(table.systems) * len(per_clip)


def test_the_recorded_clip_is_perfect_wherever_that_is_known(table):
    perfect = {"PSNR": 100, "SSIM": 1, "change error": 0, "change ratio": 1, "landmark jerk-local": 1, "ADFD-local": 1}
    for metric, value in perfect.items():
        assert mean(table, RECORDED, metric) == pytest.approx(value, abs=1e-4), metric
    assert mean(table, AUTOENCODER, "change ratio to VAE") == pytest.approx(1)


def test_a_static_copy_moves_nothing(table):
    assert mean(table, STATIC, "mouth r") == mean(table, STATIC, "change ratio") == 0
    assert mean(table, STATIC, "ADFD-local") == pytest.approx(0, abs=1e-6)


def test_noise_is_worst(table):
    assert mean(table, NOISE, "PSNR") == min(mean(table, system, "PSNR") for system in table.systems)
    assert mean(table, NOISE, "warping error") == max(mean(table, system, "warping error") for system in table.systems)


def test_reversed_time_is_noticed(table):
    assert mean(table, "backwards", "mouth r") < mean(table, RECORDED, "mouth r") - 0.3
    assert mean(table, "backwards", "LSE-C-local") < mean(table, RECORDED, "LSE-C-local")
    assert mean(table, "backwards", "ADFD temporal-local") < 0.9


def test_a_chin_that_is_elsewhere_is_no_fault_of_the_mouth():
    told = PLACES.repeat(8, 1, 1)
    points = told.clone()
    points[:, NAMES.index("chin"), 1] += 0.1
    judge = SimpleNamespace(name="points", local=True, locate=lambda _: points)
    truth = SimpleNamespace(points=told, layout=Layout.of(NAMES), sound=torch.rand(8))
    found = score_landmarks(torch.zeros(8, 3, 64, 64), truth, Judges(landmarks=judge))
    assert found["M-LMD-local"] == pytest.approx(0, abs=1e-4)
    assert found["F-LMD-local"] > 1


def test_the_wrong_person_is_noticed(table):
    assert mean(table, RECORDED, "nearest is the owner-local") == 1
    assert mean(table, "next person", "nearest is the owner-local") == 0


def test_differences_are_paired_and_have_intervals_from_four_people_on(table):
    difference = table.differences[RECORDED, "change error"]
    assert difference.high < 0
    assert difference.t_high is not None
    assert len(difference.people) == PEOPLE


def test_what_nobody_knows_of_real_people_is_not_scored(cases):
    real = [replace(case, motion=None, mouth=None) for case in cases[:1]]
    scores = evaluate_cases(real, {RECORDED: [real[0].frames]}, Judges())
    by = {score.metric: score.value for score in scores}
    assert math.isnan(by["mouth r"])
    assert math.isnan(by["aligned mouth PSNR"])
    assert math.isnan(by["change ratio to VAE"])
    assert by["mouth PSNR"] == 100
    assert not [name for name in by if find_metric(name).judge]


def test_a_silent_clip_is_left_out_of_what_is_heard(cases):
    silent = replace(cases[0], clip=replace(cases[0].clip, waveform=torch.zeros_like(cases[0].clip.waveform)))
    both = [silent, cases[1]]
    scores = evaluate_cases(both, {STATIC: [static_copy(case) for case in both]}, tiny_judges())
    heard = ("sound r", "sound r, best lag", "lag", "ADFD-local", "ADFD audio-local", "ADFD lag-local")
    assert all(math.isnan(score.value) == (score.person == silent.person) for score in scores if score.metric in heard)
    assert list(summarise(scores).means[STATIC, "ADFD-local"].people) == [cases[1].person]


def test_clips_of_another_number_or_shape_are_refused(cases):
    with pytest.raises(ValueError, match="4 clips"):
        evaluate_cases(cases, {"base": [cases[0].frames]}, Judges())
    with pytest.raises(ValueError, match="p2000 clip_00"):
        evaluate_cases(cases[:1], {"base": [cases[0].frames[1:]]}, Judges())


def test_a_short_clip_has_no_sync(cases):
    short = [replace(c, frames=c.frames[:4], mel=c.mel[:4], motion=c.motion[:4], mouth=c.mouth[:4]) for c in cases[:1]]
    by = {s.metric: s.value for s in evaluate_cases(short, {"base": [short[0].frames]}, tiny_judges())}
    assert math.isnan(by["LSE-C-local"])
    assert torch.isfinite(torch.tensor(by["PSNR"]))
