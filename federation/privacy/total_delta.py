"""The failure probability of the whole guarantee: the accountant's delta, the samplers', and the cryptography's."""

from __future__ import annotations

import math
from dataclasses import dataclass

SAMPLER_DISTANCE = 2.0**-115
"""Total variation promised between one drawn coordinate of noise and the exact distribution, twice per coordinate:
with and without the client's data. The tables keep 2^-128."""
POINTWISE_SLACK = 4 * math.exp(-2 * math.pi**2 * 9) + 3e-68
"""Largest log-ratio per coordinate and round between the honest clients' noise and the rounded normal that opacus
accounts for: Gaussian smoothing at variance 9 (Canonne, Kamath and Steinke 2020), and a sum of discrete Gaussians of
deviation at least 4 against a single one (Kairouz, Liu and Steinke 2021)."""
ATTACKER_STEPS = 2.0**80
"""Operations that an attacker on the cryptography is granted."""
LARGEST_EXCESS = 1.001
"""A run whose total is above this multiple of delta is refused: its delta would not be the one that is claimed."""


@dataclass(frozen=True)
class TotalDelta:
    """The parts of the failure probability, and their sum."""

    delta: float
    samplers: float
    """What imperfect samplers and smoothing add."""
    computational: float
    """Advantage against masks and shares of the best attacks known, within `ATTACKER_STEPS`. An assumption, not a
    theorem; a quantum computer would break X25519 outright."""

    @property
    def total(self) -> float:
        """Return the sum of the parts."""
        return math.fsum((self.delta, self.samplers, self.computational))


def total_delta(delta: float, rounds: int, clients: int, dimension: int) -> TotalDelta:
    """Return the failure probability of `rounds` released rounds.

    Raises:
        ValueError: If the total exceeds delta by more than a thousandth.
    """
    samplers = 2.0 * rounds * clients * dimension * SAMPLER_DISTANCE
    smoothing = 4.0 * rounds * dimension * POINTWISE_SLACK  # e^(2s) delta <= delta + 4 s while s < 1/2 and delta < 1
    total = TotalDelta(delta, samplers + smoothing, computational_advantage(rounds, clients, dimension))
    if total.total > LARGEST_EXCESS * delta:
        raise ValueError(
            f"`--privacy.delta` must cover what samplers and cryptography may fail with, {total.total - delta:.2g} in "
            f"{rounds} rounds. Got {delta:g}. Raise it to {(total.total - delta) * 1000:.2g} or more."
        )
    return total


def computational_advantage(rounds: int, clients: int, dimension: int) -> float:
    """Return a bound on telling the masked vectors from uniform ones, for the best generic attacks.

    Three terms, each by a union bound over all of its keys:

    - X25519: Pollard's rho finds one of the private keys, two per client and round, in a group of order 2^252.
    - AES-256-CTR: a keystream of B blocks differs from uniform by at most B^2 / 2^129 (switching lemma, Bellare and
      Rogaway 2006); there are n (n - 1) / 2 pairwise masks and n self masks.
    - ChaCha20-Poly1305: a message of L blocks is forged with probability at most 8 L / 2^106 (Bernstein 2005); there
      are n (n - 1) of shares, with their associated data of at most 64 blocks.

    Clients that drop out reveal keys of their own only, and exhaustive search for an AES key is beyond 2^-150.
    """
    key_pairs, masks, shares = 2 * clients, clients * (clients + 1) / 2, clients * (clients - 1)
    blocks = math.ceil(dimension / 4)
    agreement = key_pairs * ATTACKER_STEPS**2 / 2.0**252
    keystreams = masks * blocks**2 / 2.0**129
    forgeries = shares * 8 * 64 / 2.0**106
    return rounds * (agreement + keystreams + forgeries)
