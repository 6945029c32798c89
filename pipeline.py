"""What happens to an update between client and server, in the one order that is private.

ISFA weight, clip, noise, mask on the client; unmask, decode, weighted mean on the server. `train.py` and the devices of
a deployment take the same steps; no config can change their order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from callbacks.budget import PrivacyBudget
from callbacks.clipping import ClipUpdate
from callbacks.conclusion import PrivacyOff
from callbacks.device_ledgers import DeviceLedgers
from callbacks.enrolment import digest_settings
from callbacks.isfa import ISFAAggregation
from callbacks.masking import SecureAggregation
from callbacks.noise import DistributedNoise, choose_noise, sample_rate
from callbacks.sampling import HiddenSampling, VisibleSampling
from federation.args import (
    AggregationArgs,
    ClippingArgs,
    FederationArgs,
    OwnerArgs,
    PrivacyArgs,
    SecurityArgs,
)
from federation.hooks import FederationCallback
from federation.privacy.cohort import provision
from federation.privacy.keys import KeySource
from federation.privacy.owner import OwnerLimits, Terms

SMALLEST_SHARE = 0.25
"""The server divides by at least this share of the expected number of contributors, however the noise falls."""


def private(
    keys: KeySource,
    privacy: PrivacyArgs,
    federation: FederationArgs,
    aggregation: AggregationArgs,
    security: SecurityArgs,
    clipping: ClippingArgs,
    owner: OwnerArgs,
    *,
    clients: int,
    out_dir: Path,
    remote: bool = False,
) -> list[FederationCallback]:
    """Return what happens to an update between client and server, in the one order that is private.

    The client halves run from first to last, the server halves from last to first. Without privacy only the sampling
    and the weights are left, and the run says so. Where the devices are elsewhere (`remote`), each keeps its own ledger
    and masks for itself; the server halves of the other steps are the same.
    """
    sampling, steps = client_steps(keys, privacy, federation, aggregation, security, clipping, clients)
    limits = OwnerLimits.read(owner.limits) if owner.limits else None
    if not privacy.enabled:
        terms = Terms(
            sample_rate(federation), federation.rounds, 0, federation.sampling, privacy.key_source, private=False
        )
        return [PrivacyOff(out_dir, terms, limits), *sampling, *steps]
    cohort = provision(clients, security.colluding_share, security.dropout_share)
    z = choose_noise(privacy, federation, clients)
    budget = PrivacyBudget(out_dir, privacy, federation, z, cohort, security, simulation=not remote)
    if remote:
        return [budget, *sampling, *steps]
    return [
        budget,
        *sampling,
        DeviceLedgers(Path(owner.ledgers or out_dir / "devices"), budget.promise, federation.rounds, limits=limits),
        *steps,
        SecureAggregation(keys, security, digest_settings(privacy, federation, aggregation, security, clipping)),
    ]


def client_steps(
    keys: KeySource,
    privacy: PrivacyArgs,
    federation: FederationArgs,
    aggregation: AggregationArgs,
    security: SecurityArgs,
    clipping: ClippingArgs,
    clients: int,
) -> tuple[list[FederationCallback], list[FederationCallback]]:
    """Return the steps that a client takes with its update before it is masked: sampling, then weight, clip, noise.

    A device in a deployment takes the very same ones.
    """
    coins = {"hidden": HiddenSampling, "visible": VisibleSampling}.get(federation.sampling)
    sampling = [] if coins is None else [coins(keys, federation.sample_rate)]
    weights = aggregation if federation.aggregation == "isfa" else replace(aggregation, gamma=0.0)
    if not privacy.enabled:
        return sampling, [ISFAAggregation(weights)]
    return sampling, [
        ISFAAggregation(weights, floor=SMALLEST_SHARE * clients * sample_rate(federation)),
        ClipUpdate(keys, clipping, contributing=federation.sample_rate if federation.sampling == "hidden" else 1.0),
        DistributedNoise(keys, choose_noise(privacy, federation, clients), security),
    ]
