"""Only a run's first process logs; the others read the same clips and would repeat it."""

from __future__ import annotations

import logging
import os


def is_first_device() -> bool:
    """Whether this process was started by the user, and not by a run for another one of its devices."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def speak_once() -> None:
    """Leave what is logged of recordings to the first device of a run."""
    if not is_first_device():
        logging.getLogger(__package__).setLevel(logging.ERROR)
