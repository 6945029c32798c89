"""The table of all scores is read back as it was written."""

from __future__ import annotations

import math

import pytest

from evaluation.scores import Score, read_scores, save_scores

SCORES = [Score("base, sound alone", "ann", "clip_04", "PSNR", 21.25), Score("noise", "ann", "", "CSIM", float("nan"))]


def test_scores_are_read_back(tmp_path):
    save_scores(tmp_path / "new" / "metrics.csv", SCORES)
    first, second = read_scores(tmp_path / "new" / "metrics.csv")
    assert first == SCORES[0]
    assert math.isnan(second.value)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["metrics.csv"]


def test_another_table_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("round,tag,value\n1,loss,0.5\n")
    with pytest.raises(ValueError, match="columns"):
        read_scores(tmp_path / "metrics.csv")
