"""Who takes part in a round: a secret coin of the client (hidden) or a public one (visible)."""

from __future__ import annotations

from typing_extensions import override

from federation.hooks import FederationCallback
from federation.key_source import KeySource
from federation.update import ClientUpdate, RoundState


class HiddenSampling(FederationCallback):
    """Everyone trains, adds noise and sends; a secret coin decides whose data is in.

    If only participants sent, the number of vectors, or the variance of the noise in the sum, would tell who took part,
    and no amplification by sampling could be claimed.

    Args:
        keys: Source of the coins.
        sample_rate: Probability q in (0, 1] that a client's data is in.
    """

    def __init__(self, keys: KeySource, sample_rate: float) -> None:
        self.keys, self.sample_rate = keys, sample_rate

    @override
    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        coin = self.keys.stream(update.client, state.index, state.attempt, "coin").bernoulli(self.sample_rate)
        update.contributes = update.contributes and coin
        update.metrics["contributes"] = float(update.contributes)


class VisibleSampling(FederationCallback):
    """Public coins decide who trains and sends; only the epsilon for known coins may be claimed.

    Rank 0 draws and every device takes its cohort over. An empty cohort is a normal round and never drawn again.

    Args:
        keys: Source of the coins.
        sample_rate: Probability q in (0, 1] that a client is in the cohort.
    """

    def __init__(self, keys: KeySource, sample_rate: float) -> None:
        self.keys, self.sample_rate = keys, sample_rate

    @override
    def on_round_start(self, state: RoundState) -> None:
        if state.is_main:
            state.clients = tuple(client for client in state.clients if self._takes_part(state, client))

    def _takes_part(self, state: RoundState, client: str) -> bool:
        return self.keys.stream(client, state.index, state.attempt, "coin").bernoulli(self.sample_rate)
