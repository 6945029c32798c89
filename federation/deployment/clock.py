"""The time of a device, which tests replace."""

from __future__ import annotations

import time
from threading import Event


class Clock:
    """Seconds that only rise."""

    def now(self) -> float:
        """Return the time."""
        return time.monotonic()

    def sleep_until(self, moment: float, unless: Event | None = None) -> None:
        """Return at a time, at once if it is past, and early if an event occurs."""
        (unless or Event()).wait(max(0.0, moment - self.now()))
