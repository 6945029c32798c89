"""How many random cases a test runs: all under `make audit`, one in a hundred in the suite."""

from __future__ import annotations

import os

SWITCH = "PRIVFEDTALK_FUZZ"
"""Environment variable; `full` runs all cases."""


def is_full() -> bool:
    """Whether all is asked for, however long it takes."""
    return os.environ.get(SWITCH) == "full"


def cases(full: int) -> range:
    """Return the numbers of the cases to run; the suite's are the first of the full run."""
    return range(full if is_full() else max(1, full // 100))
