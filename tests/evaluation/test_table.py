"""A table pairs the same clips, and never two different ones."""

from __future__ import annotations

import pytest

from evaluation.scores import EVERYBODY, Score
from evaluation.table import summarise

PEOPLE = ("ann", "bob", "cleo", "dan")


def scores(system: str, values: list[float], metric: str = "PSNR") -> list[Score]:
    return [Score(system, person, "clip_00", metric, value) for person, value in zip(PEOPLE, values, strict=False)]


def test_every_system_is_compared_with_one():
    table = summarise(scores("base", [10, 20, 30, 40]) + scores("own", [11, 21, 31, 42]), reference_system="base")
    assert table.systems == ["base", "own"]
    assert table.mean("own", "PSNR").mean == pytest.approx(26.25)
    assert table.differences["own", "PSNR"].mean == pytest.approx(1.25)
    assert ("base", "PSNR") not in table.differences


def test_only_clips_that_both_have_are_paired():
    table = summarise(scores("base", [10, 20, 30, 40]) + scores("own", [9.0]), reference_system="base")
    assert table.differences["own", "PSNR"].people == {"ann": -1.0}


def test_scores_of_everybody_together_have_no_interval():
    both = [Score(system, EVERYBODY, "", "FID-local", value) for system, value in (("base", 9.0), ("own", 7.0))]
    table = summarise(both, reference_system="base")
    assert table.mean("own", "FID-local").mean == 7
    assert table.mean("own", "FID-local").low is None
    assert table.differences["own", "FID-local"].people == {}


def test_a_system_that_was_not_scored_is_refused():
    with pytest.raises(ValueError, match="base"):
        summarise(scores("own", [1.0]), reference_system="base")
