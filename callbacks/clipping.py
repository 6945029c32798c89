"""Second step of the pipeline: no client's vector is longer than S, in exact integer arithmetic."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from federation.hooks import FederationCallback
from federation.privacy.keys import KeySource
from federation.privacy.sensitivity import Grid, clip_to_grid, decode
from federation.update import Aggregate, ClientUpdate, RoundState


class ClipUpdate(FederationCallback):
    """Clips [w Delta, beta w] jointly to S and rounds it to the integer grid.

    The clip shortens weight and weighted update alike: it caps how much a client counts and never bends the direction
    it votes for.

    Args:
        keys: Source of the stochastic rounding.
    """

    def __init__(self, keys: KeySource) -> None:
        self.keys = keys

    @override
    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        grid = Grid(state.clip_norm, update.vector.size)
        stream = self.keys.stream(update.client, state.index, state.attempt, "rounding")
        encoded = clip_to_grid(update.vector, grid, stream)
        update.integers = encoded.integers
        with np.errstate(over="ignore"):
            update.metrics["vector_norm"] = float(np.linalg.norm(update.vector))
        update.metrics["clipped"] = float(encoded.clip_factor < 1)

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        aggregate.vector = decode(aggregate.vector, Grid(state.clip_norm, aggregate.vector.size))
