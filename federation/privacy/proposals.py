"""What would help a federation that has too few clients for its adapter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from federation.privacy.scheme import Scheme

MOST_CLIENTS = 10**7
LARGEST_EPSILON = 100
"""Above, an epsilon is no proposal: it protects nobody."""


@dataclass(frozen=True)
class Adapter:
    """The size of what is trained, and what it is made of."""

    dimension: int
    """D: B of every target and of the mover, and the weight."""
    rank: int
    targets: tuple[str, ...]
    """Attention projections with equally many outputs each; A is frozen, so there are `rank` numbers per output."""
    mover: int
    """Coordinates on the mover's convolutions, which every adapter of this rank has, whatever its targets."""

    def __post_init__(self) -> None:
        if not 0 <= self.mover < self.dimension - 1 or self.rank < 1 or not self.targets:
            raise ValueError(
                "An adapter has at least 2 coordinates beside the mover's, rank 1 and one target. Got "
                f"{self.dimension}, {self.mover} of them the mover's, rank {self.rank} and {len(self.targets)} targets."
            )

    def size(self, rank: int, targets: int) -> int:
        """Return the coordinates at another rank and number of targets."""
        return 1 + math.ceil(rank * self._per_rank(targets))

    def largest_rank(self, coordinates: int, targets: int) -> int:
        """Return the largest rank that fits, 0 if none does."""
        return max(0, math.floor((coordinates - 1) / self._per_rank(targets)))

    def _per_rank(self, targets: int) -> Fraction:
        """Return the coordinates of rank 1 over this many targets."""
        attention = Fraction(self.dimension - 1 - self.mover, len(self.targets))
        return (self.mover + targets * attention) / self.rank


def fitting_ranks(adapter: Adapter, coordinates: int) -> list[str]:
    """Return the ranks that fit over all targets, and over fewer of them."""
    lines = []
    for count in range(len(adapter.targets), 0, -1):
        rank = adapter.largest_rank(coordinates, count)
        fits = f"rank {rank} ({adapter.size(rank, count):,} coordinates)" if rank else "no rank"
        lines.append(f"{fits} over {', '.join(adapter.targets[-count:])}")
    return lines


def least_clients(scheme: Scheme, noise_multiplier: float, dimension: int) -> int | None:
    """Return about the least number of clients with which the adapter breaks even; None above ten million.

    The noise multiplier stays: with hidden sampling it does not depend on the number of clients. Cohorts come in whole
    numbers, so a few clients fewer may do in places.
    """

    def is_enough(clients: int) -> bool:
        return scheme.with_clients(clients).break_even(noise_multiplier) >= dimension

    high = scheme.clients
    while not is_enough(high):
        high *= 2
        if high > MOST_CLIENTS:
            return None
    low = max(high // 2, scheme.clients)
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def propose(scheme: Scheme, noise_multiplier: float, adapter: Adapter) -> list[str]:
    """Return three ways out: a smaller adapter, more clients, a larger epsilon."""
    break_even = scheme.break_even(noise_multiplier)
    clients = least_clients(scheme, noise_multiplier, adapter.dimension)
    weaker = noise_multiplier / scheme.noise_to_signal(noise_multiplier, adapter.dimension)
    enough = f"about {clients:,}" if clients else f"not even {MOST_CLIENTS:,} are enough"
    lines = [f"a smaller adapter: {'; or '.join(fitting_ranks(adapter, break_even))}", f"more clients: {enough}"]
    secret, known = scheme.epsilons(weaker)
    epsilon = (secret or known).value
    is_one = epsilon <= LARGEST_EPSILON
    larger = f"{math.ceil(epsilon * 10) / 10:.1f}" if is_one else f"none up to {LARGEST_EPSILON} is enough"
    return [*lines, f"a larger epsilon: {larger}"]
