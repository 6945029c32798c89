"""How long a server waits for devices."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 4_000_000
"""Seconds; orders tell milliseconds in 32 bits."""


@dataclass(frozen=True)
class Patience:
    """How long the server waits for answers; the same for everybody, so that waiting tells nothing about anybody."""

    answer: float = 60.0
    """Seconds for an answer that takes no training."""
    training: float = 600.0
    """Seconds that a device may train before it must mask what it has, or nothing."""

    def __post_init__(self) -> None:
        for name in ("answer", "training"):
            if not 0 < getattr(self, name) <= LONGEST:
                raise ValueError(
                    f"`--deployment.{name}_seconds` must be above 0 and at most {LONGEST:,}. Got {getattr(self, name)}."
                )
