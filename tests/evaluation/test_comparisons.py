"""Comparisons ask what can be asked of the systems that were scored, and show the headline figures alone."""

from __future__ import annotations

import pytest

from evaluation.catalogue import find_metric
from evaluation.comparisons import HEADLINES, compare, list_comparisons
from evaluation.scores import Score


def test_systems_are_held_against_each_other_in_the_same_pose():
    both = ("pose given", "sound alone")
    names = ["static copy", *(f"{name}, {pose}" for name in ("base", "own adapter") for pose in both)]
    assert list_comparisons([*names, "own adapter, another's sound"]) == [
        ("own adapter, pose given", "base, pose given"),
        ("own adapter, sound alone", "base, sound alone"),
        ("own adapter, pose given", "static copy"),
        ("own adapter, sound alone", "static copy"),
        ("own adapter, pose given", "own adapter, another's sound"),
    ]


def test_a_run_without_own_adapters_still_compares_the_global_one():
    assert list_comparisons(["base, sound alone", "global adapter, sound alone"]) == [
        ("global adapter, sound alone", "base, sound alone")
    ]


def test_every_headline_is_a_metric():
    assert all(find_metric(name) for name in HEADLINES)


def test_a_comparison_leaves_other_systems_and_metrics_out():
    scores = [
        Score(system, "ann", "c", metric, value)
        for system, value in (("base", 1.0), ("own", 3.0), ("noise", 9.0))
        for metric in ("PSNR", "LPIPS-local", "lag")
    ]
    table = compare(scores, "own", "base")
    assert table.metrics == ["PSNR", "LPIPS-local"]
    assert table.differences["own", "PSNR"].mean == pytest.approx(2)
    assert "noise" not in table.systems
