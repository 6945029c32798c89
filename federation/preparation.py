"""Brings a module onto its device, the same on every device."""

from __future__ import annotations

from itertools import chain

import torch
from lightning.fabric import Fabric, is_wrapped

from federation.exchange import synchronise
from federation.protocols import FederatedModule
from federation.strategy import ClientParallelStrategy


def prepare_module(fabric: Fabric, module: FederatedModule) -> FederatedModule:
    """Move a module to this device, give it rank 0's weights and return it without Fabric's wrapper.

    Raises:
        ValueError: If several devices run under a strategy that splits batches, or if adapters are not float32: small
            updates would vanish in 16 bit.
    """
    if fabric.world_size > 1 and not isinstance(fabric.strategy, ClientParallelStrategy):
        raise ValueError(
            f"`--strategy` must be client_parallel on several devices. Got {type(fabric.strategy).__name__}."
        )
    module = (module if is_wrapped(module) else fabric.setup(module)).module
    for parameter in chain(module.shared_parameters(), module.personal_parameters()):
        if parameter.dtype != torch.float32:
            raise ValueError(
                f"Adapters must be float32. Got {parameter.dtype}. Use `--precision` 32-true, 16-mixed or bf16-mixed."
            )
    synchronise(module)
    return module
