"""Takes the time of rounds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from typing_extensions import override

from federation.hooks import FederationCallback
from federation.update import RoundState


@dataclass
class Stopwatch(FederationCallback):
    """Takes the time of each round, up to the end of its last hook; it must be the last observer."""

    seconds: list[float] = field(default_factory=list)
    _ended: float = 0.0

    @override
    def on_run_start(self, state: RoundState) -> None:
        self._ended = time.perf_counter()

    @override
    def on_round_end(self, state: RoundState) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._ended)
        self._ended = now
