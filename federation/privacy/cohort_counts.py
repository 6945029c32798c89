"""Who may fail or betray in a round, and hence whose noise the guarantee counts on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

TINY_COHORT = 8
"""Below this many clients nothing is claimed against the server."""


@dataclass(frozen=True)
class CohortCounts:
    """The clients of one round as the noise and the masks count on them.

    The guarantee does not hold against more than `colluders` clients that tell the server their noise.
    """

    clients: int
    """n: clients who advertise; all of them mask and add noise."""
    colluders: int
    """c_max: clients that may tell the server all they know; they never drop out."""
    honest: int
    """n_min: honest survivors whose noise the guarantee counts on."""

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise ValueError(f"A cohort that adds noise needs at least 1 client. Got {self.clients}.")
        if self.colluders < 0:
            raise ValueError(f"A number of colluding clients must be at least 0. Got {self.colluders}.")
        if self.honest < 1 or self.least_survivors > self.clients:
            raise ValueError(
                f"Of {self.clients} clients, {self.colluders} of them colluding, between 1 and "
                f"{self.clients - self.colluders} honest ones must survive. Got {self.honest}. Lower "
                "`--security.colluding_share` or `--security.dropout_share`, or add clients."
            )

    @property
    def least_survivors(self) -> int:
        """Return n_min + c_max; a round that fewer clients survive is refused, as all colluders may be among them."""
        return self.honest + self.colluders


def provision(clients: int, colluding_share: float, dropout_share: float) -> CohortCounts:
    """Return the cohort whose guarantee outlasts these shares of colluding and of dropped clients.

    c_max = max(1, ceil(colluding_share n)) and n_min = floor(n (1 - dropout_share)) - c_max. Colluders stay in to the
    end, so the dropped are all honest: the product n (1 - dropout_share)(1 - colluding_share) would count on noise
    that is not there. Fewer than 8 clients are too few to claim anything against the server: there c_max is 0, and
    n_min at least 1.

    Args:
        clients: n.
        colluding_share: In [0, 1).
        dropout_share: In [0, 1).

    Raises:
        ValueError: If a share is out of range, or no honest survivor is left to count on.
    """
    for option, share in (("colluding_share", colluding_share), ("dropout_share", dropout_share)):
        if not 0 <= share < 1:
            raise ValueError(f"`--security.{option}` must lie in [0, 1). Got {share}.")
    # As written: in binary, 0.1 of 30 clients would be more than 3.
    colluding, dropped = Fraction(str(colluding_share)), Fraction(str(dropout_share))
    survivors = math.floor(clients * (1 - dropped))
    if clients < TINY_COHORT:
        return CohortCounts(clients, 0, max(1, survivors))
    colluders = max(1, math.ceil(colluding * clients))
    return CohortCounts(clients, colluders, survivors - colluders)
