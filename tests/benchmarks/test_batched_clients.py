from __future__ import annotations

import pytest

from benchmarks.batched_clients import Comparison, compare


class Pretended:
    """A cohort whose rounds take known times; the machine gets slower from turn to turn."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def time(self, at_once: int) -> float:
        self.asked.append(at_once)
        return (1 + len(self.asked) // 2) * 8.0 / at_once


def test_group_sizes_take_turns_and_the_first_turn_is_not_counted():
    cohort = Pretended()
    comparison = compare(cohort, [1, 4], turns=3)
    assert cohort.asked == [4, 1, 1, 4, 4, 1, 1, 4]
    assert {at_once: len(seconds) for at_once, seconds in comparison.seconds.items()} == {1: 3, 4: 3}


def test_a_ratio_is_of_one_turn():
    comparison = Comparison({1: [8.0, 16.0, 80.0], 4: [4.0, 8.0, 10.0]})
    assert comparison.ratios == pytest.approx({1: 1.0, 4: 2.0})
