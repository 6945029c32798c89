"""What a round needs of the module it trains and of the data it trains on; any module with these members can join."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from federation.update import ClientSignals


class FederatedModule(Protocol):
    """A LightningModule with a shared part, which the federation averages, and a personal part, which stays."""

    losses: dict[str, float]
    """The last step's losses by name, for logging as `local/*`."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of one batch; draws only from torch's seeded generators."""

    def configure_optimizers(self) -> dict[str, Optimizer]:
        """Return fresh optimizers `{"shared": ..., "personal": ...}`; `personal` is absent without a personal part."""

    def shared_parameters(self) -> list[Parameter]:
        """Return the federated parameters, in an order that is the same on every device."""

    def personal_parameters(self) -> list[Parameter]:
        """Return the parameters that never leave the client; may be empty."""

    def signals(self, batches: Iterable[Any]) -> ClientSignals:
        """Score the current weights on the client's own clips, both scores in [0, 1]."""


class FederatedData(Protocol):
    """Clients' clips, never mixed."""

    @property
    def clients(self) -> list[str]:
        """Return the names of the clients, sorted."""

    def num_examples(self, client: str) -> int:
        """Return the number of training frames of a client."""

    def client_dataloader(self, client: str, *, steps: int, seed: int, split: str = "train") -> Iterable[Any]:
        """Return exactly `steps` batches of one client, determined by the seed."""
