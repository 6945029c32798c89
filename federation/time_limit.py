"""How long a client may train: a slow device takes part with the steps that it had time for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

USED_SHARE = 0.95
"""The rest is for handing the update over."""


class TimeLimit:
    """Says after each step whether there is time for another one.

    The next step is taken to last as long as the one before; the caller says how many such steps its work after the
    last one may take. The first step is always taken: a limit too short for it is missed.

    Args:
        seconds: From now on; infinity allows every step, so that results depend on no clock.
        now: Seconds that only rise.
    """

    def __init__(self, seconds: float = math.inf, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._last = now, now()
        self._end = self._last + USED_SHARE * seconds

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return math.isfinite(self._end)

    def has_room(self, after: int) -> bool:
        """Return, at the end of a step, whether another one and `after` more of its length would end in time."""
        moment = self._now()
        step, self._last = moment - self._last, moment
        return moment + (1 + after) * step <= self._end
