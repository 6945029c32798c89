"""Distances of sets: 0 for the same frames, and larger the more a set is off."""

from __future__ import annotations

import math

import pytest
import torch

from evaluation.metrics.distributions import frechet_distance, score_sets
from evaluation.protocols import Judges
from evaluation.scores import EVERYBODY
from tests.evaluation.drawn import draw_cases
from tests.evaluation.judged import Pooled


def test_the_frechet_distance_of_known_gaussians():
    samples = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(samples, samples) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(samples + 2, samples) == pytest.approx(12, rel=1e-6)
    # Twice as wide: the squared difference of deviations, once for each dimension.
    assert frechet_distance(2 * samples, samples) == pytest.approx(3, rel=0.1)
    assert math.isnan(frechet_distance(samples[:1], samples))


def test_every_system_gets_scores_of_all_clips_together():
    cases = draw_cases(2, frames=18)
    recorded = [case.frames for case in cases]
    made = {
        "recorded": recorded,
        "blurred": [(frames // 64) * 64 for frames in recorded],
        "noise": [torch.randint(256, frames.shape).to(torch.uint8) for frames in recorded],
        "static copy": [case.reference.expand_as(case.frames) for case in cases],
    }
    scores = score_sets(cases, made, Judges(inception=Pooled(), video=Pooled()))
    assert {score.person for score in scores} == {EVERYBODY}
    by = {(score.system, score.metric): score.value for score in scores}
    assert {metric for _, metric in by} == {"FID-local", "KID-local", "FVD-local"}
    assert by["recorded", "FID-local"] == pytest.approx(0, abs=1e-3)
    assert by["recorded", "FID-local"] < by["blurred", "FID-local"] < by["noise", "FID-local"]
    assert by["blurred", "KID-local"] > by["recorded", "KID-local"]
    assert by["static copy", "FVD-local"] > by["recorded", "FVD-local"]


def test_a_systems_scores_do_not_depend_on_which_others_are_scored():
    cases = draw_cases(2, frames=30)
    recorded, judges = [case.frames for case in cases], Judges(inception=Pooled())
    noise = [torch.randint(256, frames.shape).to(torch.uint8) for frames in recorded]
    blurred = {"blurred": [(frames // 64) * 64 for frames in recorded]}
    alone = score_sets(cases, blurred, judges)
    after = score_sets(cases, {"noise": noise, **blurred}, judges)
    assert [score for score in after if score.system == "blurred"] == alone


def test_networks_that_are_absent_score_nothing():
    cases = draw_cases(1)
    assert score_sets(cases, {"recorded": [case.frames for case in cases]}, Judges()) == []


def test_clips_too_short_for_fvd_are_not_a_number():
    cases = draw_cases(1)
    [score] = score_sets(cases, {"recorded": [case.frames for case in cases]}, Judges(video=Pooled()))
    assert math.isnan(score.value)
