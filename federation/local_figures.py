"""What a device sees of its own training; none of it is sent."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from federation.update import ClientUpdate


def read_losses(steps: list[dict[str, Tensor]]) -> dict[str, list[float]]:
    """Return the losses of all steps by name; those after a `loss` that is not finite say nothing and are left out."""
    values = {name: torch.stack([torch.as_tensor(step[name]) for step in steps]).tolist() for name in steps[0]}
    good = next((step for step, loss in enumerate(values["loss"]) if not math.isfinite(loss)), len(steps))
    return {name: some[: good + (name == "loss")] for name, some in values.items()}


def all_finite(values: list[Tensor | list[float]]) -> bool:
    """Return whether all values are finite: their extremes tell, as NaN is passed on to these."""
    return all(math.isfinite(extreme) for some in values for extreme in torch.as_tensor(some).aminmax())


def describe_training(update: ClientUpdate, losses: dict[str, list[float]], norm: float) -> dict[str, float]:
    """Return what the device sees of its own training: mean losses, the update's norm, scores, seconds."""
    return {
        **{name: sum(values) / len(values) for name, values in losses.items() if values},
        "update_norm": norm,
        "identity_score": update.signals.identity,
        "stability_score": update.signals.stability,
        "seconds": update.seconds,
        "failed": float(not update.contributes),
    }
