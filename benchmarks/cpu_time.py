"""CPU time, which other programs on the machine disturb less than wall time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def timed(work: Callable[..., Result], *arguments: object) -> tuple[Result, float]:
    """Return what the work returns, and the CPU seconds of all threads of this process meanwhile."""
    start = time.process_time()
    result = work(*arguments)
    return result, time.process_time() - start


def best_of(repeats: int, *works: Callable[[], object]) -> list[float]:
    """Return the least CPU seconds of each work; they take turns, so that a busy moment meets all of them."""
    least = [math.inf] * len(works)
    for _ in range(repeats):
        for number, work in enumerate(works):
            least[number] = min(least[number], timed(work)[1])
    return least
