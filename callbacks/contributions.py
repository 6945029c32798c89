"""Says what a server may know of who took part: how much weight the released sums hold."""

from __future__ import annotations

from typing_extensions import override

from callbacks.shouting import shout
from federation.hooks import FederationCallback
from federation.update import Aggregate, RoundState

VISIBLE = 2.0
"""Standard deviations of the noise above which a weight is hardly noise alone."""


class Contributions(FederationCallback):
    """Sums up a run whose devices are elsewhere; devices tell nobody whether their training succeeded.

    A client weighs at most 1, and nothing where its coin, a crash or a late training kept its data out. How many
    contributed stays hidden; the sum of their weights is in the released sum, under its noise and its epsilon.

    Args:
        beta: Scale of the weight coordinate, `--aggregation.beta`.
    """

    def __init__(self, beta: float) -> None:
        self.beta = beta
        self.weights: list[tuple[float, float]] = []

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        weight, noise = float(aggregate.vector[-1]) / self.beta, aggregate.noise / self.beta
        self.weights.append((weight, noise))
        state.metrics |= {"released/summed_weight": weight, "released/summed_weight_noise": noise}

    @override
    def on_run_end(self, state: RoundState) -> None:
        """Print the weights, and be loud where none of them can be told from noise."""
        if not self.weights or not state.is_main:
            return
        figures = ", ".join(f"{weight:.2f}±{noise:.2f}" for weight, noise in self.weights)
        print(f"Weight of the updates in the released sums, at most 1 a client: {figures}", flush=True)
        if all(weight < VISIBLE * noise for weight, noise in self.weights):
            shout(
                "No released sum can be told from noise. Few clients, much noise, or trainings that end too late: the "
                "devices' own logs say which; `--deployment.training_seconds` gives them more time."
            )
