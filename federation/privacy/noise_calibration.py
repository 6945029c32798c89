"""Choosing the noise before a run: how much each client adds, at which epsilon, and how many clients would do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import count

from federation.args import Sampling
from federation.privacy.accountant import (
    COIN_FAILURE_SHARE,
    Release,
    demand_delta,
    demand_noise_multiplier,
    demand_sample_rate,
    epsilon_after,
    participation_bound,
)
from federation.privacy.cohort_counts import CohortCounts
from federation.privacy.sensitivity import Grid

MIN_DEVIATION = 4
"""Below this standard deviation per client, a sum of discrete Gaussians is measurably not one (2.6e-68 at 4)."""
ROUNDING_VARIANCE = 9
"""Variance, in the sum, that PRV's proof uses up: the discrete Gaussian is a rounded normal with variance less 9."""
EPSILON_TOLERANCE = 0.01
MAX_NOISE_MULTIPLIER = 10**6
MIN_NOISE_MULTIPLIER = 2.0**-10


@dataclass(frozen=True)
class NoisePlan:
    """The noise of one cohort."""

    cohort: CohortCounts
    """Who adds the noise, and whose of it is counted on."""
    variance: int
    """sigma_k^2: variance of each client's discrete Gaussian noise, in squared grid steps."""

    def __post_init__(self) -> None:
        if self.variance < MIN_DEVIATION**2:
            raise ValueError(
                f"Each client's noise needs a standard deviation of at least {MIN_DEVIATION} grid steps. "
                f"Got {math.sqrt(self.variance):.2f}. Raise `--privacy.noise_multiplier`."
            )


def plan_noise(noise_multiplier: float, grid: Grid, cohort: CohortCounts) -> NoisePlan:
    """Split the noise over a cohort so that n_min honest survivors alone reach the noise multiplier.

    Each client's variance is ceil((z^2 B2 + 9) / n_min). Does not hold in a round that fewer than the cohort's
    `least_survivors` clients survive: such a round must be refused.

    Raises:
        ValueError: If the noise is too small to split, or if the sum could leave the 32-bit ring.
    """
    demand_noise_multiplier(noise_multiplier)
    total = noise_multiplier**2 * grid.bound_squared * (1 + 1e-12) + ROUNDING_VARIANCE
    plan = NoisePlan(cohort, math.ceil(total / cohort.honest))
    largest = cohort.clients * math.sqrt(grid.bound_squared) + 14 * math.sqrt(cohort.clients * plan.variance)
    if largest >= 2**31:
        raise ValueError(
            f"The sum of {cohort.clients} clients with noise could reach {largest:.3g} and leave the 32-bit ring. "
            "Lower `--privacy.noise_multiplier`, the number of clients, or what is trained."
        )
    return plan


def probability_of_no_contributor(clients: int, sample_rate: float) -> float:
    """Return the probability that a round holds nobody's data; it is released and charged like any other."""
    demand_sample_rate(sample_rate)
    return (1 - sample_rate) ** clients


@cache  # seconds of work, and both halves of the pipeline ask for it
def solve_noise_multiplier(target_epsilon: float, delta: float, sample_rate: float, rounds: int) -> float:
    """Return a noise multiplier (within 0.01 of epsilon of the least) that spends the target over all rounds.

    The epsilon is that of secret coins; for visible sampling pass a sample rate of 1 and the participation bound.

    Raises:
        ValueError: If an argument is out of range, or no noise up to 10^6 clip norms is enough.
    """
    demand_delta(delta)
    demand_sample_rate(sample_rate)
    if not (math.isfinite(target_epsilon) and target_epsilon > 0):
        raise ValueError(f"`--privacy.target_epsilon` must be a positive number. Got {target_epsilon}.")
    if rounds < 1 or sample_rate == 0:
        raise ValueError(
            f"Only rounds with data spend epsilon. Got {rounds} rounds at sample rate {sample_rate}. Raise them."
        )

    @cache
    def spent(noise_multiplier: float) -> float:
        return epsilon_after([Release(noise_multiplier, sample_rate, rounds)], delta).value

    return _solve(spent, target_epsilon)


def _solve(spent: Callable[[float], float], target: float) -> float:
    """Return a noise multiplier that spends at most the target and at least the target less the tolerance.

    Opacus' own solver knows one accountant and would meet PRV's infinities; this one asks what the ledger will ask.
    """
    low, high = _bracket(spent, target)
    for step in count():
        if target - spent(high) <= EPSILON_TOLERANCE or high - low <= 1e-9 * high:
            break
        middle = math.sqrt(low * high)
        if step % 3 != 2 and spent(high) > 0:
            # Where it is not 0, epsilon is close to a power of z: a few guesses do, with a halving now and then.
            slope = math.log(high / low) / math.log(spent(low) / spent(high))
            guess = high * (spent(high) / (target - EPSILON_TOLERANCE / 2)) ** slope
            middle = guess if low < guess < high else middle
        low, high = (low, middle) if spent(middle) <= target else (middle, high)
    return high


def _bracket(spent: Callable[[float], float], target: float) -> tuple[float, float]:
    """Return noise multipliers, one twice the other, that spend more and at most the target."""
    high = 1.0
    while spent(high) > target:
        high *= 2
        if high > MAX_NOISE_MULTIPLIER:
            raise ValueError(f"No noise multiplier up to {high / 2:.0f} reaches epsilon {target}. Raise the target.")
    while high > MIN_NOISE_MULTIPLIER and spent(high / 2) <= target:
        high /= 2
    return high / 2, high


def solve_for_sampling(
    target_epsilon: float,
    delta: float,
    sample_rate: float,
    rounds: int,
    clients: int,
    sampling: Sampling,
) -> float:
    """Return the least noise multiplier with which all rounds keep within a target.

    Where coins are visible, every round a client may take part in counts in full, but for a share of delta with which
    it takes part in more.
    """
    if sampling == "visible":
        reserve = COIN_FAILURE_SHARE * delta
        rounds = max(1, participation_bound(rounds, sample_rate, clients, reserve))
        sample_rate, delta = 1.0, delta - reserve
    return solve_noise_multiplier(target_epsilon, delta, sample_rate, rounds)


def smallest_population(
    noise_multiplier: float, sample_rate: float, rounds: int, delta: float, clients: int, target_epsilon: float = 8.0
) -> int:
    """Return the least number of clients N' for which the same noise in the mean costs at most the target epsilon.

    The noise multiplier grows with the population, z' = z N' / N; sample rate, rounds and delta stay. Coins secret.

    Raises:
        ValueError: If an argument is out of range, or no noise reaches the target.
    """
    demand_noise_multiplier(noise_multiplier)
    if clients < 1:
        raise ValueError(f"A federation needs at least 1 client. Got {clients}.")

    def is_enough(population: int) -> bool:
        release = Release(noise_multiplier * population / clients, sample_rate, rounds)
        return epsilon_after([release], delta).value <= target_epsilon

    if sample_rate == 0 or rounds == 0:
        return 1
    solved = solve_noise_multiplier(target_epsilon, delta, sample_rate, rounds)
    high = math.ceil(clients * solved / noise_multiplier)
    low, stride = high - 1, 1
    while low > 0 and is_enough(low):
        high, low, stride = low, low - stride, 2 * stride
    low = max(low, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
