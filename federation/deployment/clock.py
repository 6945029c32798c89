"""The time of a device, which tests replace."""

from __future__ import annotations

import time


class Clock:
    """Seconds that only rise."""

    def now(self) -> float:
        """Return the time."""
        return time.monotonic()

    def sleep_until(self, moment: float) -> None:
        """Return at a time, or at once if it is past."""
        time.sleep(max(0.0, moment - self.now()))
