"""A federation of the whole denoiser drowns: it has millions of coordinates, and every one of them gets noise."""

from __future__ import annotations

from federation.privacy.promise import Promise
from federation.privacy.scheme import Scheme

MOST_NOISE = 10.0
"""Length of the noise over all rounds, in units of what clients teach, above which nothing worth a round is left."""


def demand_signal(promise: Promise, rounds: int, dimension: int) -> None:
    """Raise ValueError if the noise is so much longer than what clients teach that their training is in vain.

    Args:
        promise: Clients, noise and sampling.
        rounds: Of the run.
        dimension: D, coordinates of one client's vector.
    """
    security, release = promise.security, promise.release
    scheme = Scheme(
        clients=promise.cohort.clients,
        rate=release.sample_rate,
        rounds=rounds,
        delta=promise.privacy.delta,
        sampling=promise.sampling,
        adversary=security.adversary,
        colluding_share=security.colluding_share,
        dropout_share=security.dropout_share,
    )
    ratio = scheme.noise_to_signal(release.noise_multiplier, dimension)
    if ratio > MOST_NOISE:
        raise ValueError(
            f"`--federation.trainable backbone` must not drown: noise over all rounds may be {MOST_NOISE:g} times as "
            f"long as what clients teach. Got {ratio:.0f} times, with {dimension:,} coordinates and {scheme.clients} "
            "clients. Train adapters, or see `python -m federation.privacy.plan` for what it takes."
        )
