from __future__ import annotations

import itertools
import math

from federation.time_limit import TimeLimit


def count_steps(seconds: float, durations: list[float], after: int = 2) -> int:
    """Return the steps that a limit allows, of steps that last so long."""
    moments = itertools.accumulate([0.0, *durations])
    limit = TimeLimit(seconds, now=lambda: next(moments))
    return 1 + sum(1 for _ in itertools.takewhile(bool, (limit.has_room(after) for _ in durations[:-1])))


def test_steps_and_what_follows_them_end_in_time():
    assert count_steps(10.0, [1.0] * 20) == 7  # 7 + 2 more of that length; 8 would end after 9.5 seconds
    assert count_steps(10.0, [1.0] * 5) == 5
    assert count_steps(10.0, [1.0] * 20, after=0) == 9


def test_the_first_step_is_always_taken():
    assert count_steps(1.0, [50.0] * 3) == 1


def test_a_slow_first_step_does_not_stand_for_the_rest():
    assert count_steps(14.0, [3.0, *[0.5] * 9]) == 10


def test_without_a_limit_no_clock_stops_anybody():
    assert count_steps(math.inf, [1e9] * 50) == 50
