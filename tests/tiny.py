"""A module, data and pipeline that satisfy the federation's protocols and train in milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from federation.aggregation import isfa_weight, joint_vector, weighted_mean
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.hooks import FederationCallback
from federation.rounds import FederatedRounds
from federation.strategy import ClientParallelStrategy
from federation.update import Aggregate, ClientUpdate, RoundState

GRID = 2.0**-20
NAMES = ("ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hal")


class TinyModule(LightningModule):
    """A frozen linear map with a shared and a personal correction, and noise from torch's generator."""

    def __init__(self, learning_rate: float = 1e-2, width: int = 4) -> None:
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.shared = nn.Linear(width, width)
        self.personal = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(0.2)
        self.learning_rate = learning_rate
        self.losses: dict[str, float] = {}
        self.dtypes: list[torch.dtype] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        inputs = self.dropout(batch + 0.1 * torch.randn_like(batch))
        outputs = self.base(inputs) + self.shared(inputs) + self.personal(inputs)
        self.dtypes.append(outputs.dtype)
        loss = (outputs.float() - batch.flip(-1)).square().mean()
        self.losses = {"flip": loss.item()}
        return loss

    def configure_optimizers(self) -> dict[str, Optimizer]:
        return {
            "shared": AdamW(self.shared_parameters(), lr=self.learning_rate),
            "personal": AdamW(self.personal_parameters(), lr=self.learning_rate),
        }

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.shared.parameters())

    def personal_parameters(self) -> list[nn.Parameter]:
        return list(self.personal.parameters())

    def signals(self, batches: Iterable[Tensor]) -> tuple[float, float]:
        errors = [self.training_step(batch, 0).item() for batch in batches]
        return float(np.exp(-np.mean(errors))), 0.5


class TinyData:
    """Clients with unequal amounts of random vectors.

    Args:
        clients: Their names.
        before: Called with a client's name before its first batch.
        broken: Clients whose batches are not finite.
    """

    def __init__(
        self,
        clients: Iterable[str] = NAMES[:4],
        before: Callable[[str], None] = lambda client: None,
        broken: tuple[str, ...] = (),
    ) -> None:
        self.clients, self.before, self.broken = sorted(clients), before, broken

    def num_examples(self, client: str) -> int:
        return 100 * (1 + self.clients.index(client))

    def client_dataloader(self, client: str, *, steps: int, seed: int, split: str = "train") -> Iterator[Tensor]:
        self.before(client)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            batch = torch.randn(6, 4, generator=generator) + len(client)
            yield batch * float("nan") if client in self.broken else batch


class TinyWeigh(FederationCallback):
    """ISFA without smoothing."""

    def __init__(self, args: AggregationArgs) -> None:
        self.args = args

    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        weight = isfa_weight(update.num_examples, update.signals, self.args)
        update.vector = joint_vector(update.delta, weight, self.args.beta)

    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        weight = aggregate.vector[-1] / self.args.beta
        aggregate.direction = torch.from_numpy(weighted_mean(aggregate.vector, weight, floor=1e-6)).float()


class TinyEncode(FederationCallback):
    """Fixed-point residues without clip, noise or masks."""

    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        update.integers = np.rint(update.vector / GRID).astype(np.int64)

    def on_cohort_ready(self, state: RoundState, updates: list[ClientUpdate]) -> None:
        for update in updates:
            update.wire = (update.integers & 0xFFFFFFFF).astype(np.uint32)

    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        aggregate.vector = aggregate.wire.view(np.int32).astype(np.float64) * GRID


class Recorder(FederationCallback):
    """Remembers who trained here, and each round's cohort and metrics."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, str]] = []
        self.updates: list[ClientUpdate] = []
        self.states: list[RoundState] = []

    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        self.trained.append((state.index, update.client))
        self.updates.append(copy.copy(update))  # the round frees the vectors of its own

    def on_round_end(self, state: RoundState) -> None:
        self.states.append(state)


def tiny_fabric(devices: int | None = None, precision: str = "32-true") -> Fabric:
    """Return a CPU Fabric: `devices` forked processes that give up after a minute, or this very process for None."""
    if devices is None:
        return Fabric(accelerator="cpu", devices=1, precision=precision)
    strategy = ClientParallelStrategy(start_method="fork", timeout=timedelta(seconds=60))
    return Fabric(accelerator="cpu", devices=devices, strategy=strategy, precision=precision)


def tiny_rounds(
    fabric: Fabric,
    folder: Path,
    *,
    module: TinyModule | None = None,
    data: TinyData | None = None,
    federation: FederationArgs | None = None,
    aggregation: AggregationArgs | None = None,
    observers: Iterable[FederationCallback] = (),
    private: bool = True,
    clip_norm: float = 1.0,
    clipping: ClippingArgs | None = None,
    **kwargs: Any,
) -> FederatedRounds:
    """Return rounds over tiny parts; the module's weights depend on nothing but the default seed."""
    aggregation = aggregation or AggregationArgs(server_momentum=0.5)
    if module is None:
        torch.manual_seed(5 + fabric.global_rank)
        module = TinyModule()
    federation = federation or FederationArgs(rounds=2, local_steps=3)
    privacy = PrivacyArgs(enabled=private, clip_norm=clip_norm)
    return FederatedRounds(
        fabric,
        module,
        data or TinyData(),
        AgreedSettings(privacy, federation, aggregation, SecurityArgs(), clipping or ClippingArgs()),
        pipeline=[TinyWeigh(aggregation), *([TinyEncode()] if private else [])],
        observers=list(observers),
        checkpoint_dir=folder,
        **kwargs,
    )


def run_on(devices: int | None, function: Callable[..., Any], *args: Any, precision: str = "32-true") -> Any:
    """Run `function(fabric, *args)` on forked devices and return rank 0's result; None runs it in this process.

    Results travel as pickles: return numbers and arrays, as a tensor's memory ends with its process.
    """
    fabric = tiny_fabric(devices, precision)
    if devices is None:
        return function(fabric, *args)
    return fabric.launch(function, *args)
