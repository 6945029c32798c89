"""How much privacy the released rounds have spent, towards those who know the sampling coins and those who do not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from federation.privacy.composition import Epsilon, History, compose

COIN_FAILURE_SHARE = 0.1
"""Share of delta set aside for the case that coins fall more often on a client than counted."""


@dataclass(frozen=True)
class Release:
    """`rounds` released rounds at the same noise and sampling."""

    noise_multiplier: float
    """z: standard deviation of the honest clients' noise in the sum, in units of the clip norm."""
    sample_rate: float
    """q: probability that a client's data is in a round."""
    rounds: int = 1

    def __post_init__(self) -> None:
        demand_noise_multiplier(self.noise_multiplier)
        demand_sample_rate(self.sample_rate)
        if self.rounds < 0 or self.rounds != int(self.rounds):
            raise ValueError(f"A number of rounds must be a whole number of at least 0. Got {self.rounds}.")


def demand_noise_multiplier(noise_multiplier: float) -> None:
    """Raise ValueError unless the noise multiplier is a positive, finite number."""
    if not (math.isfinite(noise_multiplier) and noise_multiplier > 0):
        raise ValueError(f"`--privacy.noise_multiplier` must be a positive number. Got {noise_multiplier}.")


def demand_sample_rate(sample_rate: float) -> None:
    """Raise ValueError unless the sample rate is a probability."""
    if not 0 <= sample_rate <= 1:
        raise ValueError(f"`--federation.sample_rate` must lie in [0, 1]. Got {sample_rate}.")


def demand_delta(delta: float) -> None:
    """Raise ValueError unless delta lies strictly between 0 and 1."""
    if not 0 < delta < 1:
        raise ValueError(f"`--privacy.delta` must lie between 0 and 1, both excluded. Got {delta}.")


def epsilon_after(releases: Iterable[Release], delta: float) -> Epsilon:
    """Return epsilon for whoever knows no coin: every release counts as Poisson-subsampled with its sample rate.

    Holds only if the coins stay secret (sampling `hidden`), or where the sample rate is 1.
    """
    demand_delta(delta)
    return compose(_merged(releases), delta)


def epsilon_with_known_coins(releases: Iterable[Release], delta: float, clients: int) -> Epsilon:
    """Return epsilon for whoever learns which rounds each client's data was in: no amplification by sampling.

    Counts `participation_bound` unsampled rounds; the chance that the coins exceed it for any client is taken off
    delta.
    """
    demand_delta(delta)
    merged = _merged(releases)
    allowance = COIN_FAILURE_SHARE * delta / max(1, len(merged))
    certain, used = [], 0.0
    for z, q, rounds in merged:
        bound = participation_bound(rounds, q, clients, allowance)
        used += allowance if bound < rounds else 0.0
        certain.append(Release(z, 1.0, bound))
    return compose(_merged(certain), delta - used)


@lru_cache(maxsize=4096)
def participation_bound(rounds: int, sample_rate: float, clients: int, failure: float) -> int:
    """Return the number of participations in `rounds` that no client exceeds, except with probability `failure`.

    A quantile of Binomial(rounds, sample_rate), by the union bound over the clients.
    """
    from scipy.stats import binom

    if clients < 1:
        raise ValueError(f"A federation needs at least 1 client. Got {clients}.")
    if sample_rate in (0.0, 1.0):
        return rounds if sample_rate else 0
    exceeded = binom.sf(range(rounds + 1), rounds, sample_rate) * clients
    return int((exceeded <= failure).argmax())


def _merged(releases: Iterable[Release]) -> History:
    """Return (z, q, rounds) for each distinct pair, without those that release nothing of anybody."""
    rounds: Counter[tuple[float, float]] = Counter()
    for release in releases:
        rounds[float(release.noise_multiplier), float(release.sample_rate)] += int(release.rounds)
    return tuple(sorted((z, q, count) for (z, q), count in rounds.items() if q > 0 and count > 0))
