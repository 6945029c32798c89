"""What a round promises, and what that promise rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.cohort_counts import TINY_COHORT
from federation.privacy.sensitivity import Grid


@dataclass(frozen=True)
class RoundTerms:
    """The public figures of a round.

    Who may collude and drop out is counted here anew, and not by the code under audit, so that a mistake there shows.
    """

    clients: int
    """n."""
    clip_norm: float
    """S."""
    dimension: int
    """D."""
    noise_multiplier: float
    """z."""
    sample_rate: float = 1.0
    """q."""
    delta: float = 1e-5
    colluding_share: float = 0.1
    """Most clients that tell the server all they know, as a share of all; rounded up, at least one."""
    dropout_share: float = 0.1
    """Most clients that fall silent, as a share of all."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the clients; colluders come first, those who drop out last."""
        return tuple(f"client{position:04d}" for position in range(self.clients))

    @property
    def colluders(self) -> tuple[str, ...]:
        """Return as many colluders as the promise allows for; none below 8 clients, where it allows for none."""
        if self.clients < TINY_COHORT:
            return ()
        return self.names[: max(1, math.ceil(round(self.colluding_share * self.clients, 9)))]

    @property
    def survivors(self) -> tuple[str, ...]:
        """Return as few survivors as the promise allows for; colluders never drop out."""
        least = math.floor(round(self.clients * (1 - self.dropout_share), 9))
        return self.names[: max(least, len(self.colluders) + 1)]

    @property
    def dropped(self) -> tuple[str, ...]:
        """Return the clients who are not among the survivors."""
        return self.names[len(self.survivors) :]

    @property
    def honest(self) -> tuple[str, ...]:
        """Return the survivors whose noise is counted on."""
        return self.survivors[len(self.colluders) :]

    @property
    def grid(self) -> Grid:
        """Return the grid of the vectors."""
        return Grid(self.clip_norm, self.dimension)

    def claim(self, rounds: int = 1) -> float:
        """Return the epsilon that is claimed for this many rounds, coins secret."""
        return epsilon_after([Release(self.noise_multiplier, self.sample_rate, rounds)], self.delta).value
