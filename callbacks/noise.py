"""The noise: every client adds its share of discrete Gaussian noise."""

from __future__ import annotations

import math

import numpy as np
from typing_extensions import override

from federation.args import SecurityArgs
from federation.hooks import FederationCallback
from federation.key_source import KeySource
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.noise_calibration import NoisePlan, plan_noise
from federation.update import Aggregate, ClientUpdate, RoundState


class DistributedNoise(FederationCallback):
    """Splits discrete Gaussian noise over the cohort, so that its honest survivors in the sum have deviation z S.

    A client without data in the round adds noise like everybody else: the variance of the sum tells nothing. The
    guarantee does not hold if more clients than provided for fall silent or tell the server their noise.

    Args:
        keys: Source of the noise.
        noise_multiplier: z, in units of the clip norm of the same round.
        security: Shares of the clients that may collude or drop out.
    """

    def __init__(self, keys: KeySource, noise_multiplier: float, security: SecurityArgs) -> None:
        self.keys, self.noise_multiplier, self.security = keys, noise_multiplier, security
        self._samplers: dict[int, DiscreteGaussian] = {}

    @override
    def on_run_start(self, state: RoundState) -> None:
        """Refuse, before anything is trained, noise that cannot be split or a sum that could leave the ring."""
        self._plan(state)

    @override
    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        variance = self._plan(state).variance
        if variance not in self._samplers:
            self._samplers[variance] = DiscreteGaussian(variance)
        stream = self.keys.stream(update.client, state.index, state.attempt, "noise")
        update.integers = update.integers + self._samplers[variance].sample(update.integers.size, stream)

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        """Say how large the noise is, and compare it with what else the sum holds; both are public.

        The figure never exceeds (D/8)^(1/4): a weaker signal cannot be told from the noise's own ups and downs.
        """
        total = aggregate.integers.astype(np.float64)  # whose squares could leave 64 bit as integers
        size = total.size
        noise = float(size * aggregate.num_clients * self._plan(state).variance)
        aggregate.noise = state.grid.step * math.sqrt(noise / size)
        resolution = 2 * noise * math.sqrt(2 / size)  # the squared length of the noise varies this much by itself
        signal = max(float(np.dot(total, total)) - noise, resolution)
        state.metrics["released/noise_to_signal"] = math.sqrt(noise / signal)

    def _plan(self, state: RoundState) -> NoisePlan:
        cohort = self.security.provision(len(state.clients))
        return plan_noise(self.noise_multiplier, state.grid, cohort)
