"""What a round asks of its cohort, wherever the devices are."""

from __future__ import annotations

from typing import Protocol

from federation.update import Aggregate, RoundState


class RoundRefusedError(ValueError):
    """An attempt at a round ended without a sum; a later one may succeed."""


class Cohort(Protocol):
    """Clients that train and send what may leave: on this machine (`local_cohort`), or elsewhere (`deployment`)."""

    def collect(self, state: RoundState) -> None:
        """Have everybody train; elsewhere also mask, and set `state.survivors`, or raise RoundRefusedError."""

    def release(self, state: RoundState) -> Aggregate:
        """Return the sum, elsewhere unmasked with its `integers`, or raise RoundRefusedError."""
