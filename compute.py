"""What a command computes on: Fabric for training, a device for what only generates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def make_fabric(accelerator: str, devices: int, strategy: str, precision: str) -> Fabric:
    """Return Fabric, not yet launched; several devices take clients each, unless another strategy is named.

    Raises:
        ValueError: On an accelerator or a number of devices that this machine does not have, or 16-mixed without a GPU,
            which Fabric would silently replace by bf16-mixed.
    """
    from lightning.fabric import Fabric  # half a second, for which a command that only generates should not wait
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from federation.strategy import register_strategies

    register_strategies()
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if precision == "16-mixed" and (accelerator == "cpu" or not has_gpu):
        raise ValueError("`--precision 16-mixed` needs a GPU. Got the CPU. Use 32-true.")
    if devices < 1:
        raise ValueError(f"`--devices` must be at least 1. Got {devices}.")
    if strategy == "auto" and devices > 1:
        strategy = "client_parallel"
    try:
        return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)
    except (MisconfigurationException, RuntimeError) as error:
        raise ValueError(f"`--accelerator {accelerator} --devices {devices}` cannot be had here: {error}") from error


def pick_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is the first GPU, if there is one.

    Raises:
        ValueError: If there is no such device, or it cannot be used, as when another program has all of its memory.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        return torch.empty(0, device=chosen).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0][:200].rstrip(".")
        raise ValueError(
            f"`--device` must be one of this machine's, e.g. auto, cpu or cuda. Got {name}: {reason}."
        ) from error
