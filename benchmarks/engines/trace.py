"""Clients of which some take much longer than others, and the schedule that knows it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence


def spread_costs(clients: int, longest: float, ratio: float = 10.0) -> tuple[float, ...]:
    """Return the clients' seconds: evenly spaced logarithms from longest / ratio to longest, in no order."""
    costs = [longest * ratio ** -(number / (clients - 1)) for number in range(clients)]
    random.Random(0).shuffle(costs)
    return tuple(costs)


def longest_first_makespan(costs: Sequence[float], processes: int) -> float:
    """Return when the last process is done if each, when free, takes the longest client left (Graham 1969, LPT)."""
    free = [0.0] * processes
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(free, free[0] + cost)
    return max(free)
