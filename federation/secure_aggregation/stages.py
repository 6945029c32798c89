"""The order of a round."""

from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
    """Where an attempt stands: the message that clients send next."""

    ADVERTISE = 1
    SHARE_KEYS = 2
    MASK_INPUT = 3
    CONFIRM = 4
    UNMASK = 5
    DONE = 6
