"""A federation on paper: who takes part and against whom, before it is known what it trains."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from federation.args import Sampling
from federation.privacy.accountant import Release, epsilon_after, epsilon_with_known_coins
from federation.privacy.cohort_counts import CohortCounts, provision
from federation.privacy.composition import Epsilon
from federation.privacy.noise_calibration import solve_for_sampling
from federation.secure_aggregation.thresholds import MOST_COMPLETE, Adversary, Neighbourhood, plan_neighbourhood

SIGNAL_SHARE = 0.3
"""Length of the mean of all updates, in clip norms: how far clients agree. A rule of thumb, not a theorem."""


@dataclass(frozen=True)
class Scheme:
    """The settings that decide what privacy costs."""

    clients: int
    """N."""
    rate: float
    """q: probability that a client's data is in a round."""
    rounds: int
    """T."""
    delta: float
    sampling: Sampling
    adversary: Adversary
    colluding_share: float
    dropout_share: float

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"`--rate` must lie in (0, 1]. Got {self.rate}.")
        for name, value in (("clients", self.clients), ("rounds", self.rounds)):
            if value < 1:
                raise ValueError(f"`--{name}` must be at least 1. Got {value}.")
        if not 0 < self.delta < 1 / self.clients:
            raise ValueError(
                f"`--delta` must be above 0 and below one over {self.clients} clients. Got {self.delta:g}."
            )

    def with_clients(self, clients: int) -> Scheme:
        """Return the same scheme for another number of clients, with a delta that stays below one over it."""
        return replace(self, clients=clients, delta=min(self.delta, 0.5 / clients))

    @property
    def cohorts(self) -> int:
        """Return how many sums a round has: against an active server, one for every 128 clients."""
        return math.ceil(self.clients / MOST_COMPLETE) if self.adversary == "active" else 1

    @property
    def cohort(self) -> CohortCounts:
        """Return the smallest of the cohorts."""
        return provision(self.clients // self.cohorts, self.colluding_share, self.dropout_share)

    @property
    def neighbourhood(self) -> Neighbourhood:
        """Return with how many others a client agrees on masks, and how many shares open a secret."""
        return plan_neighbourhood(
            self.cohort.clients, self.cohort.colluders, self.cohort.least_survivors, self.adversary
        )

    def solve(self, epsilon: float) -> float:
        """Return the noise multiplier that spends epsilon over all rounds, with visible sampling for known coins."""
        return solve_for_sampling(epsilon, self.delta, self.rate, self.rounds, self.clients, self.sampling)

    def epsilons(self, noise_multiplier: float) -> tuple[Epsilon | None, Epsilon]:
        """Return epsilon with secret coins, None where they are none, and with known coins."""
        releases = [Release(noise_multiplier, self.rate, self.rounds)]
        known = epsilon_with_known_coins(releases, self.delta, self.clients)
        return None if self.sampling == "visible" else epsilon_after(releases, self.delta), known

    def excess(self) -> float:
        """Return the deviation of all noise in a round, in units of z S, where nobody drops out.

        Every sum that is seen carries noise for itself, and that for more clients than n_min honest survivors.
        """
        return math.sqrt(self.cohorts * self.cohort.clients / self.cohort.honest)

    def noise_to_signal(self, noise_multiplier: float, dimension: int, rounds: int | None = None) -> float:
        """Return the length of the noise in units of the signal's, over all rounds unless told otherwise.

        Noise adds up to sqrt(T D) z S, signal to 0.3 T q N S.
        """
        signal = SIGNAL_SHARE * math.sqrt(rounds or self.rounds) * self.rate * self.clients
        return noise_multiplier * self.excess() * math.sqrt(dimension) / signal

    def break_even(self, noise_multiplier: float) -> int:
        """Return the number of coordinates at which noise and signal of the whole run have the same length."""
        return math.floor(self.noise_to_signal(noise_multiplier, 1) ** -2)
