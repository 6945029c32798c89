"""What a round needs of a cohort whose devices are elsewhere."""

from __future__ import annotations

from typing import Protocol

from federation.update import Aggregate, RoundState


class RoundRefusedError(ValueError):
    """An attempt at a round ended without a sum; a later one may succeed."""


class RemoteCohort(Protocol):
    """Clients on devices elsewhere, which train, mask and answer for themselves."""

    def collect(self, state: RoundState) -> None:
        """Have everybody train and mask, and set `state.survivors`; raises RoundRefusedError."""

    def release(self, state: RoundState) -> Aggregate:
        """Return the unmasked sum, `vector` included; raises RoundRefusedError."""
