"""The denoising loss on clips that nobody trained on, at times and noise that are always the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor

from federation.protocols import FederatedModule
from federation.seeding import derive_seed

TIMESTEPS = 1000


class DenoisingModule(FederatedModule, Protocol):
    """A module whose loss can be asked for at given times and noise."""

    def denoising_error(self, batch: dict[str, Tensor], timestep: Tensor, eps: Tensor) -> Tensor:
        """Return the loss of a batch at times (batch,) and noise shaped like its `latents`."""


class HeldOutData(Protocol):
    """Clients whose clips are split."""

    @property
    def clients(self) -> list[str]:
        """Return the names of the clients."""

    def splits(self, client: str) -> Mapping[str, Sequence[object]]:
        """Return the clips of `train`, `val` and `test`; the last two may be empty."""

    def client_dataloader(self, client: str, *, steps: int, seed: int, split: str = "train") -> Iterable[Any]:
        """Return exactly `steps` batches of one split."""


def find_tested(data: HeldOutData) -> list[str]:
    """Return who has clips that were not trained on."""
    return [client for client in data.clients if data.splits(client)["test"]]


class HeldOutLoss:
    """Measures what a module is worth to a client; two measurements differ by the adapters in the module alone.

    Args:
        fabric: Where the module is.
        module: What is measured; it should be in `eval` mode.
        data: The clients' clips.
        count: Batches of each client.
    """

    def __init__(self, fabric: Fabric, module: DenoisingModule, data: HeldOutData, count: int) -> None:
        self.fabric, self.module, self.data, self.count = fabric, module, data, count

    @property
    def clients(self) -> list[str]:
        """Return who has a held-out clip."""
        return find_tested(self.data)

    def batches(self, client: str) -> list[dict[str, Tensor]]:
        """Return a client's held-out batches, the same whenever they are asked for."""
        seed = derive_seed(0, 0, client, "evaluation")
        loader = self.data.client_dataloader(client, steps=self.count, seed=seed, split="test")
        return [self.fabric.to_device(batch) for batch in loader]

    def measure(self, client: str, batches: list[dict[str, Tensor]]) -> float:
        """Return the mean loss, with what the module holds, over times spread evenly over the schedule."""
        generator = torch.Generator().manual_seed(derive_seed(0, 0, client, "evaluation noise"))
        count = sum(len(batch["latents"]) for batch in batches)
        times = ((torch.arange(count) + 0.5) * TIMESTEPS / count).long().split([len(b["latents"]) for b in batches])
        losses = []
        for batch, timestep in zip(batches, times, strict=True):
            eps = torch.randn(batch["latents"].shape, generator=generator)
            with self.fabric.autocast():
                error = self.module.denoising_error(batch, *self.fabric.to_device([timestep, eps]))
            losses.append(error.item() * len(timestep))
        return sum(losses) / count
