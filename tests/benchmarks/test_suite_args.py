"""Comparisons must name rows that are there."""

from __future__ import annotations

import pytest

from benchmarks.suites.args import Cell, Comparison, GenerationArgs


def test_rows_are_held_against_one_that_is_there():
    with pytest.raises(ValueError, match=r"one, two\. Got 'three'"):
        Comparison("?", "three", {"one": Cell(), "two": Cell()})


@pytest.mark.parametrize("start", [None, Cell(alone=True), Cell(starts_from="other")])
def test_a_row_starts_from_one_that_has_a_global_adapter(start):
    cells = {"one": Cell(starts_from="two"), "other": Cell()} | ({} if start is None else {"two": start})
    with pytest.raises(ValueError, match=r"`starts_from` of 'one'.*Got 'two'"):
        Comparison("?", "one", cells)


def test_nothing_is_generated_in_no_steps():
    with pytest.raises(ValueError, match=r"--generation\.steps.*Got 0"):
        GenerationArgs(steps=0)
