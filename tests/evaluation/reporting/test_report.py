"""The report says what was measured, what was not, and why."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from evaluation.anchors import RECORDED, STATIC
from evaluation.catalogue import METRICS
from evaluation.protocols import Judges
from evaluation.reporting.report import Findings, write_report
from evaluation.scores import EVERYBODY, Score
from evaluation.table import summarise
from lightning_modules.sampling import SamplingOptions
from tests.evaluation.drawn import draw_cases
from tests.evaluation.judged import ColourFace

OWN, BASE = "own adapter, pose given", "base, pose given"


def report(tiny_base, tmp_path, people: int, *, card: bool = True, known: bool = True) -> str:
    cases = draw_cases(people, frames=5)
    if not known:
        cases = [replace(case, motion=None, mouth=None) for case in cases]
    scores = [
        Score(system, case.person, case.name, metric, value + 0.1 * number)
        for system, value in ((BASE, 20.0), (OWN, 21.0))
        for number, case in enumerate(cases)
        for metric in ("PSNR", "CSIM-local")
    ]
    scores += [Score(OWN, EVERYBODY, "", "FID-local", 4.0)]
    scores += [Score(STATIC, case.person, case.name, "CSIM-local", 1.0) for case in cases]
    scores += [
        Score(RECORDED, case.person, case.name, "nearest is the owner-local", float(number > 0))
        for number, case in enumerate(cases)
    ]
    promises = ["| epsilon, coins secret | 3.21 |"] if card else []
    run = SimpleNamespace(folder=tmp_path, base=tiny_base, promises=lambda: promises)
    findings = Findings(run, cases, SamplingOptions(), Judges(identity=ColourFace()), scores)
    return write_report(findings, summarise(scores))


def test_tables_have_intervals_and_comparisons_are_paired(tiny_base, tmp_path):
    text = report(tiny_base, tmp_path, 4)
    assert "| system | PSNR ↑ |" in text
    assert "| own adapter, pose given | 21.35 [21." in text
    assert "### own adapter, pose given less base, pose given" in text
    assert "| PSNR ↑ | +1.000 | [1.000, 1.000] | [1.000, 1.000] | 4 of 4 | yes |" in text
    assert "| own adapter, pose given | 4.000 |" in text


def test_three_people_are_listed_one_by_one(tiny_base, tmp_path):
    text = report(tiny_base, tmp_path, 3)
    assert "3 people are too few for an interval" in text
    assert "| base, pose given | p2000 | 20.05 |" in text
    assert "| PSNR ↑ | +1.000 | - | - | 3 of 3 | - |" in text


def test_judges_are_named_and_missing_ones_are_said(tiny_base, tmp_path):
    text = report(tiny_base, tmp_path, 4)
    assert "| judge: identity | colours |" in text
    assert "| judge: sync | weights missing |" in text
    assert text.count("**weights missing**") == sum(metric.judge not in (None, "identity") for metric in METRICS)


def test_the_identity_judges_own_accuracy_is_said(tiny_base, tmp_path):
    text = report(tiny_base, tmp_path, 4)
    assert "judged by the colours among 4 people" in text
    assert "88% nearest to their owner; a static copy has a CSIM of 1.000" in text


@pytest.mark.parametrize("card", [True, False])
def test_the_runs_privacy_is_repeated_or_its_absence_said(tiny_base, tmp_path, card):
    text = report(tiny_base, tmp_path, 4, card=card)
    assert ("| epsilon, coins secret | 3.21 |" in text) == card
    assert ("no privacy guarantee" in text) != card


def test_real_people_are_said_to_have_no_pose(tiny_base, tmp_path):
    assert "No system is given the pose" in report(tiny_base, tmp_path, 4, known=False)
    assert "No system is given the pose" not in report(tiny_base, tmp_path, 4)
