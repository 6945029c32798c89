"""What a round needs of the module it trains and of the data it trains on; any module with these members can join."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer


class FederatedModule(Protocol):
    """A LightningModule with a shared part, which the federation averages, and a personal part, which stays."""

    losses: dict[str, Tensor]
    """The last step's losses by name, for logging as `local/*`; on the device, so that nobody waits for them."""

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return a batch as `training_step` takes it, still on the CPU; Lightning's own returns it as it is."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of one batch; draws only from torch's seeded generators."""

    def configure_optimizers(self) -> dict[str, Optimizer]:
        """Return fresh optimizers `{"shared": ..., "personal": ...}`; `personal` is absent without a personal part."""

    def shared_parameters(self) -> list[Parameter]:
        """Return the federated parameters, in an order that is the same on every device."""

    def personal_parameters(self) -> list[Parameter]:
        """Return the parameters that never leave the client; may be empty."""

    def signals(self, batches: Iterable[Any]) -> tuple[float, float]:
        """Score the current weights on the client's own clips: identity and stability, as in `ClientSignals`."""


class GroupedModule(FederatedModule, Protocol):
    """A module that can train several clients at once; what chance decides is decided before a batch is moved."""

    def configure_optimizers(self, parts: dict[str, list[Parameter]] | None = None) -> dict[str, Optimizer]:
        """Return fresh optimizers of the module's parts, or of given ones in their place."""

    def side_by_side(self, adapters: dict[str, list[Tensor]], batches: Sequence[Any]) -> AbstractContextManager[None]:
        """Give each client's batch its own adapters until the end of the context, the backward pass included.

        `adapters` holds for `shared` and `personal` one vector per client, with the part's parameters end to end.
        """

    def client_losses(self, batches: Sequence[Any]) -> list[dict[str, Tensor]]:
        """Return each client's losses by name, computed together; `total` is what `training_step` would return."""


class FederatedData(Protocol):
    """Clients' clips, never mixed."""

    @property
    def clients(self) -> list[str]:
        """Return the names of the clients, sorted."""

    def num_examples(self, client: str) -> int:
        """Return the number of training frames of a client."""

    def client_dataloader(self, client: str, *, steps: int, seed: int, split: str = "train") -> Iterable[Any]:
        """Return exactly `steps` batches of one client, determined by the seed."""
