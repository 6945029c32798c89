"""What happens to an update between client and server, in the one order that is private.

ISFA weight, clip, noise, mask on the client; unmask, decode, weighted mean on the server. `train.py` and the devices of
a deployment take the same steps; no config can change their order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from callbacks.budget import PrivacyBudget
from callbacks.clipping import ClipUpdate
from callbacks.device_ledgers import DeviceLedgers
from callbacks.isfa import ISFAAggregation
from callbacks.masking import SecureAggregation
from callbacks.noise import DistributedNoise
from callbacks.privacy_off import PrivacyOff
from callbacks.sampling import HiddenSampling, VisibleSampling
from federation.agreed_settings import AgreedSettings
from federation.args import OwnerArgs
from federation.hooks import FederationCallback
from federation.key_source import KeySource
from federation.privacy.owner import OwnerLimits


def build_pipeline(
    keys: KeySource, agreed: AgreedSettings, owner: OwnerArgs, clients: int, out_dir: Path, *, remote: bool = False
) -> list[FederationCallback]:
    """Return what happens to an update between client and server, in the one order that is private.

    The client halves run from first to last, the server halves from last to first. Without privacy only the sampling
    and the weights are left, and the run says so. Where the devices are elsewhere (`remote`), each keeps its own ledger
    and masks for itself; the server halves of the other steps are the same.
    """
    sampling, steps = client_steps(keys, agreed, clients)
    limits = OwnerLimits.read(owner.limits) if owner.limits else None
    if not agreed.privacy.enabled:
        return [PrivacyOff(out_dir, agreed.terms(honest=0), limits), *sampling, *steps]
    budget = PrivacyBudget(out_dir, agreed, clients, simulation=not remote)
    if remote:
        return [budget, *sampling, *steps]
    folder = Path(owner.ledgers or out_dir / "devices")
    return [
        budget,
        *sampling,
        DeviceLedgers(folder, budget.promise, agreed.terms(budget.promise.least_honest), limits),
        *steps,
        SecureAggregation(keys, agreed.security, agreed.digest()),
    ]


def client_steps(
    keys: KeySource, agreed: AgreedSettings, clients: int
) -> tuple[list[FederationCallback], list[FederationCallback]]:
    """Return the steps that a client takes with its update before it is masked: sampling, then weight, clip, noise.

    A device in a deployment takes the very same ones.
    """
    federation, aggregation = agreed.federation, agreed.aggregation
    coins = {"hidden": HiddenSampling, "visible": VisibleSampling}.get(federation.sampling)
    sampling = [] if coins is None else [coins(keys, federation.sample_rate)]
    weights = aggregation if federation.weighs_by_signals else replace(aggregation, gamma=0.0)
    if not agreed.privacy.enabled:
        return sampling, [ISFAAggregation(weights)]
    return sampling, [
        ISFAAggregation(weights),
        ClipUpdate(keys, agreed.contributing),
        DistributedNoise(keys, agreed.release(clients).noise_multiplier, agreed.security),
    ]
