"""The weight: a client weighs its own update, so that the server need not see why."""

from __future__ import annotations

import numpy as np
import torch
from typing_extensions import override

from federation.aggregation import isfa_weight, joint_vector, signal_share, smooth_weight, weighted_mean
from federation.args import AggregationArgs
from federation.hooks import FederationCallback
from federation.update import Aggregate, ClientUpdate, RoundState

SMALLEST_WEIGHT = 1e-9
NOISE_FLOOR = 3.0
"""Deviations of the noise in the summed weight that it must exceed to be divided by."""
WEIGHT_NOTE = "summed_weight"
"""Note of a run: the summed weight of its rounds so far, smoothed."""


class ISFAAggregation(FederationCallback):
    """Identity- and stability-aware aggregation (PrivFedTalk), as one joint vector per client.

    The client forms [w Delta, beta w]; the server divides the sum of the first part by that of the second, and keeps as
    much of it as is not noise (`signal_share`). With `gamma = 0` this is FedAvg with data counts capped at
    `max_examples`. Without clip, noise and rounding it is the textbook weighted mean.

    The clip shortens both parts of a client's vector alike, so it caps its weight and leaves its direction: a sum of
    clipped vectors is divided by what is left of the weights. Where noise could have made that small or negative, by
    `NOISE_FLOOR` of its deviations, the server divides by as many, and the step is shorter.

    Args:
        args: Weights and the smoothing of the summed weight.
    """

    def __init__(self, args: AggregationArgs) -> None:
        self.args = args

    @override
    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        weight = isfa_weight(update.num_examples, update.signals, self.args)
        update.metrics["isfa_weight"] = weight
        if update.contributes:
            update.vector = joint_vector(update.delta, weight, self.args.beta)
        else:
            update.vector = np.zeros(update.delta.numel() + 1)

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        weight = float(aggregate.vector[-1]) / self.args.beta
        summed = smooth_weight(state.notes.get(WEIGHT_NOTE), weight, self.args.weight_ema)
        state.notes = {**state.notes, WEIGHT_NOTE: summed}
        floor = NOISE_FLOOR * aggregate.noise / self.args.beta
        mean = weighted_mean(aggregate.vector, summed, max(floor, SMALLEST_WEIGHT))
        kept = signal_share(aggregate.vector[:-1], aggregate.noise)
        state.metrics["released/signal_share"] = kept
        aggregate.direction = torch.from_numpy(kept * mean).float()
