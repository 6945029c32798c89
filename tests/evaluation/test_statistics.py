"""Intervals are over people, are paired, and are not given where there are too few."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from evaluation.statistics import FEW, Estimate, estimate, paired_difference

FOUR = ["ann", "bob", "cleo", "dan"]


def test_an_estimate_is_the_mean_over_clips_within_an_interval_over_people():
    values = [0.2, 0.4, 0.8, 0.9, float("nan"), 0.5]
    found = estimate(values, ["ann", "ann", "bob", "cleo", "cleo", "dan"])
    assert found.mean == pytest.approx((0.2 + 0.4 + 0.8 + 0.9 + 0.5) / 5)
    assert 0.3 <= found.low < found.mean < found.high <= 0.9
    assert found.people == pytest.approx({"ann": 0.3, "bob": 0.8, "cleo": 0.9, "dan": 0.5})


def test_clips_of_one_person_do_not_narrow_the_interval():
    values = [0.0, 1.0, 0.5, 0.7]
    once, often = estimate(values, FOUR), estimate(values * 20, FOUR * 20)
    assert often.high - often.low == pytest.approx(once.high - once.low)
    assert often.t_high - often.t_low == pytest.approx(once.t_high - once.t_low)


@pytest.mark.parametrize("people", [1, 2, 3])
def test_few_people_are_listed_without_an_interval(people):
    found = estimate([0.5, 0.7, 0.9][:people], FOUR[:people])
    assert found.low is found.t_low is found.excludes_zero is None
    assert list(found.people) == FOUR[:people]


def test_the_t_interval_over_equal_people_is_the_textbook_one():
    values = [0.1, 0.3, 0.35, 0.9]
    expected = ttest_1samp(values, 0).confidence_interval()
    found = estimate(values, FOUR)
    assert (found.t_low, found.t_high) == pytest.approx((expected.low, expected.high))
    assert found.t_high - found.t_low > found.high - found.low  # the bootstrap of four is too narrow


def test_in_the_t_interval_a_person_weighs_as_their_clips_do():
    """By hand; t is 3.18 for four people."""
    rows = {"ann": [1.0], "bob": [2.0, 4.0], "cleo": [0.0, 1.0, 2.0], "dan": [5.0, 5.0, 5.0, 7.0]}
    clips = [(value, person) for person, row in rows.items() for value in row]
    found = estimate(*zip(*clips, strict=True))
    mean = 32 / 10
    residuals = [(sum(row) - mean * len(row)) / 2.5 for row in rows.values()]
    half = 3.182446 * math.sqrt(sum(one**2 for one in residuals) / 3 / 4)
    assert (found.t_low, found.t_high) == pytest.approx((mean - half, mean + half))


@pytest.mark.parametrize(("t_low", "excludes"), [(-0.1, False), (0.05, True), (None, True)])
def test_zero_is_excluded_if_every_interval_there_is_excludes_it(t_low, excludes):
    assert Estimate(1.0, 0.1, 1.9, t_low, None if t_low is None else 2.1).excludes_zero is excludes


def test_many_people_need_no_t_interval():
    people = [f"p{number}" for number in range(FEW)]
    assert estimate(np.linspace(0, 1, FEW).tolist(), people).t_low is None


def test_a_paired_difference_is_surer_than_two_means():
    first = [10.0, 20.0, 30.0, 40.0]
    second = [9.0, 18.9, 29.1, 39.0]
    difference = paired_difference(first, second, FOUR)
    assert difference.mean == pytest.approx(1.0)
    assert difference.excludes_zero
    assert estimate(first, FOUR).low < estimate(second, FOUR).high
    assert not paired_difference(first, [11.0, 18.0, 31.0, 39.0], FOUR).excludes_zero


def test_nothing_to_average_is_not_a_number():
    assert math.isnan(estimate([float("nan")], ["ann"]).mean)
