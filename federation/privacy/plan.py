"""What privacy will cost a federation: `python -m federation.privacy.plan --clients 1000 --rate 0.05 --rounds 500
--epsilon 8`.

Says which noise the budget asks for, whether an adapter of the given size can learn under it, what a client sends and
computes, and, where the clients are too few, what would help.
"""

from __future__ import annotations

import sys

from commandline import run_command
from federation.args import Sampling
from federation.privacy.card import stated
from federation.privacy.cohort_counts import TINY_COHORT
from federation.privacy.costs import client_seconds, upload_bytes
from federation.privacy.noise_calibration import probability_of_no_contributor
from federation.privacy.proposals import Adapter, fitting_ranks, propose
from federation.privacy.scheme import SIGNAL_SHARE, Scheme
from federation.privacy.total_delta import total_delta
from federation.secure_aggregation.thresholds import Adversary

SHIPPED = Adapter(34401, rank=4, targets=("to_q", "to_v", "to_out.0"), mover=2912)
"""The shared adapter of configs/demo.yaml on the base that ships."""

Row = tuple[str, str]


def plan(
    clients: int,
    rate: float,
    rounds: int,
    epsilon: float,
    delta: float = 1e-5,
    sampling: Sampling = "hidden",
    adversary: Adversary = "active",
    colluding_share: float = 0.1,
    dropout_share: float = 0.1,
    dimension: int = SHIPPED.dimension,
    rank: int = SHIPPED.rank,
    targets: tuple[str, ...] = SHIPPED.targets,
    mover: int | None = None,
) -> None:
    """Print what privacy costs, before anybody trains.

    Args:
        clients: Enrolled clients, N.
        rate: Probability q that a client's data is in a round; 1 with `--sampling all`.
        rounds: Rounds, T.
        epsilon: What all rounds together may spend: coins secret, or, with visible sampling, known.
        delta: Failure probability; below one over the number of clients.
        sampling: As in `--federation.sampling`.
        adversary: As in `--security.adversary`.
        colluding_share: As in `--security.colluding_share`.
        dropout_share: As in `--security.dropout_share`.
        dimension: Coordinates a client sends; the default is the shipped base's adapter at rank 4.
        rank: Rank of the adapter that has this many.
        targets: Its target modules, attention projections of equal size, as '[to_q, to_v]'.
        mover: How many of the coordinates are the mover's, whatever the targets. If left out, those of the shipped
            base, or none of another number of coordinates.
    """
    rate = 1.0 if sampling == "all" else rate
    scheme = Scheme(clients, rate, rounds, delta, sampling, adversary, colluding_share, dropout_share)
    if mover is None:
        mover = SHIPPED.mover if dimension == SHIPPED.dimension else 0
    adapter = Adapter(dimension, rank, targets, mover)
    if not 0 < epsilon < float("inf"):
        raise ValueError(f"`--epsilon` must be a positive number. Got {epsilon}.")
    noise_multiplier = scheme.solve(epsilon)
    rows = [*_protection(scheme, noise_multiplier, dimension), *_learning(scheme, noise_multiplier, adapter)]
    rows += _costs(scheme, noise_multiplier, dimension)
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    if dimension > scheme.break_even(noise_multiplier):
        print(f"\nToo few clients for this adapter: noise outweighs what {clients} clients teach. What would help:")
        print("\n".join(f"  - {proposal}" for proposal in propose(scheme, noise_multiplier, adapter)))


def _protection(scheme: Scheme, noise_multiplier: float, dimension: int) -> list[Row]:
    secret, known = scheme.epsilons(noise_multiplier)
    cohort, ring = scheme.cohort, scheme.neighbourhood
    total = total_delta(scheme.delta, scheme.rounds, scheme.clients, dimension)
    cohorts = (
        f"one of {cohort.clients}"
        if scheme.cohorts == 1
        else (f"{scheme.cohorts} of about {cohort.clients}, a session each, every sum with noise of its own")
    )
    server = f"{scheme.adversary}; {ring.neighbours} neighbours, {ring.threshold} shares open a secret"
    return [
        ("noise multiplier z", f"{noise_multiplier:.4g}"),
        *([] if secret is None else [("epsilon, coins secret", stated(secret))]),
        ("epsilon, coins known", stated(known)),
        ("delta_total", f"{total.delta:g} + {total.samplers + total.computational:.0e} (samplers, cryptography)"),
        ("cohorts", cohorts),
        ("colluders c_max, honest n_min", f"{cohort.colluders} and {cohort.honest} of {cohort.clients}"),
        ("server", server if cohort.colluders else f"nothing is claimed with fewer than {TINY_COHORT} clients"),
        ("P(no contributor)", f"{probability_of_no_contributor(scheme.clients, scheme.rate):.2g} a round"),
    ]


def _learning(scheme: Scheme, noise_multiplier: float, adapter: Adapter) -> list[Row]:
    size, break_even = adapter.dimension, scheme.break_even(noise_multiplier)
    whole = scheme.noise_to_signal(noise_multiplier, size)
    single = scheme.noise_to_signal(noise_multiplier, size, rounds=1)
    return [
        ("noise-to-signal", f"{whole:.2f} over all rounds, {single:.3g} in one, at {size:,} coordinates"),
        ("break-even size", f"{break_even:,} coordinates (rule of thumb: updates agree to {SIGNAL_SHARE:g} of S)"),
        ("ranks that fit", "; ".join(fitting_ranks(adapter, break_even))),
    ]


def _costs(scheme: Scheme, noise_multiplier: float, dimension: int) -> list[Row]:
    sent = upload_bytes(dimension, scheme.neighbourhood.neighbours)
    seconds = client_seconds(scheme, noise_multiplier, dimension)
    return [
        ("upload", f"{sent:,} bytes a client and round"),
        ("client work", f"about {seconds:.2g} s a round besides training (estimated from a probe on this machine)"),
    ]


if __name__ == "__main__":
    sys.exit(run_command(plan))
