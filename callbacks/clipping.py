"""The clip: no client's vector is longer than S, in exact integer arithmetic."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from federation.hooks import FederationCallback
from federation.key_source import KeySource
from federation.privacy.clip_norm import STEPS_NOTE, append_clip_bit, demand_clip_norm, replay_clip_norm
from federation.privacy.sensitivity import clip_to_grid, decode
from federation.update import Aggregate, ClientUpdate, RoundState


class ClipUpdate(FederationCallback):
    """Clips [w Delta, beta w] jointly to S and rounds it to the integer grid; moves S if it adapts.

    The clip shortens weight and weighted update alike: it caps how much a client counts and never bends the direction
    it votes for. An adaptive S follows a quantile of the vectors' lengths: each contributor appends one bit, in the
    same vector and under the same noise, and the noisy sum of a round sets S of the next. Whether and how S adapts is a
    setting of the round (`state.clipping`). An S outside its public range is refused, whoever set it.

    Args:
        keys: Source of the stochastic rounding.
        contributing: Probability that a client who sends a vector has data in it: q for secret coins, else 1.
    """

    def __init__(self, keys: KeySource, contributing: float = 1.0) -> None:
        self.keys, self.contributing = keys, contributing

    @override
    def on_run_start(self, state: RoundState) -> None:
        demand_clip_norm(state.clip_norm, state.clipping)

    @override
    def on_round_start(self, state: RoundState) -> None:
        demand_clip_norm(state.clip_norm, state.clipping)

    @override
    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        stream = self.keys.stream(update.client, state.index, state.attempt, "rounding")
        update.integers = clip_to_grid(self._with_bit(state, update), state.grid, stream)
        with np.errstate(over="ignore"):
            norm = float(np.linalg.norm(update.vector))
        update.metrics["vector_norm"] = norm
        update.metrics["clipped"] = float(not norm <= state.clip_norm)

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        decoded = decode(aggregate.integers, state.grid)
        size = state.global_adapter.numel() + 1
        aggregate.vector = decoded[:size]
        if state.clipping.adaptive:
            step = (float(decoded[size]), aggregate.num_clients)
            state.metrics["released/clip_norm"] = state.clip_norm
            state.next_clip_norm = replay_clip_norm(state.clip_norm, [step], self.contributing, state.clipping)
            state.notes = {**state.notes, STEPS_NOTE: [*state.notes.get(STEPS_NOTE, []), step]}

    def _with_bit(self, state: RoundState, update: ClientUpdate) -> np.ndarray:
        """Return what is clipped: the vector, and a clip bit where the client's data is in."""
        if not state.clipping.adaptive:
            return update.vector
        if not update.contributes:
            return np.zeros(update.vector.size + 1)
        return append_clip_bit(update.vector, state.clip_norm, state.clipping)
