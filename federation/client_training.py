"""One client's part of a round: load its adapters, take its local steps, return its update."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from federation.args import AggregationArgs, FederationArgs
from federation.client_states import ClientState
from federation.hooks import Hooks
from federation.local_figures import all_finite, describe_training, read_losses
from federation.local_optimizer import LocalOptimizer
from federation.protocols import FederatedData, FederatedModule
from federation.seeding import derive_seed, seed_training
from federation.time_limit import TimeLimit
from federation.update import ClientSignals, ClientUpdate, RoundState
from federation.vectors import read_vector, write_vector

SIGNAL_BATCHES = 2
"""Few, as every client of every round scores them; the same ones each time, so that scores can be compared."""
UNKNOWN = ClientSignals(identity=0.0, stability=0.0)


@dataclass(frozen=True)
class LocalSteps:
    """What a client's local steps leave, not yet scored."""

    delta: Tensor
    """Local minus global adapter, float32, shape (d,)."""
    personal: ClientState
    losses: list[dict[str, Tensor]]
    """Of each step, by name."""
    seconds: float


@dataclass(frozen=True)
class TrainedClient:
    """What training leaves: the update, for the pipeline, and the personal state, which stays on the client."""

    update: ClientUpdate
    personal: ClientState


@dataclass
class ClientTrainer:
    """Trains clients one after the other in this device's module; a client's result depends on no other client.

    `module` is the original one, not Fabric's wrapper, so autocast is entered here: without a DDP wrapper Fabric would
    run `training_step` in float32 at any precision.
    """

    fabric: Fabric
    module: FederatedModule
    data: FederatedData
    federation: FederationArgs
    aggregation: AggregationArgs
    seed: int
    hooks: Hooks = field(default_factory=Hooks)
    """Their `on_step` is called."""

    def __post_init__(self) -> None:
        self._fresh_precision = self.fabric.strategy.precision.state_dict()

    def train(self, state: RoundState, client: str, before: ClientState, seconds: float = math.inf) -> TrainedClient:
        """Train one client from the global adapter and its personal state; see `conclude` for what may fail.

        Args:
            state: The round.
            client: Whose clips are trained on.
            before: Its personal state.
            seconds: How long all of it may take. A client that is slower takes fewer local steps, at least one.
        """
        start = time.perf_counter()
        limit = TimeLimit(seconds)
        write_vector(self.module.shared_parameters(), state.global_adapter)
        optimizers = self.module.configure_optimizers()
        before.restore(self.module.personal_parameters(), optimizers.get("personal"))
        losses = self._take_steps(state, client, self.local_optimizer(optimizers), limit)
        delta = read_vector(self.module.shared_parameters()).sub_(state.global_adapter)
        after = ClientState.capture(self.module.personal_parameters(), optimizers.get("personal"))
        return self.conclude(state, client, before, LocalSteps(delta, after, losses, time.perf_counter() - start))

    def batches(self, state: RoundState, client: str) -> Iterable[Any]:
        """Return a client's batches of this round."""
        seed = derive_seed(self.seed, state.index, client, "batches")
        return self.data.client_dataloader(client, steps=self.federation.local_steps, seed=seed, split="train")

    def seed_draws(self, state: RoundState, client: str) -> None:
        """Seed all that chance decides in a client's training."""
        seed_training(derive_seed(self.seed, state.index, client, "training"))

    def local_optimizer(self, optimizers: dict[str, Optimizer]) -> LocalOptimizer:
        """Return what steps a client; its gradient scaler starts anew."""
        self.fabric.strategy.precision.load_state_dict(self._fresh_precision)
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        return LocalOptimizer(optimizers, self.federation, self.aggregation.proximal_mu, scaler)

    def conclude(self, state: RoundState, client: str, before: ClientState, steps: LocalSteps) -> TrainedClient:
        """Score what a client has trained and describe its training; the module must hold the client's adapters.

        Fails closed: where a loss, the update or the personal adapter is not finite, the update is zero and the
        personal state is the one from before.
        """
        start = time.perf_counter()
        history = read_losses(steps.losses)
        delta, personal, signals = steps.delta, steps.personal, UNKNOWN
        norm = float(delta.norm())
        is_finite = math.isfinite(norm) and all_finite([*personal.personal, history["loss"]])
        if is_finite:
            signals = self._measure(client)
        else:
            print(f"{_name(client, state)}: training was not finite. Its update is zero.", flush=True)
            delta, personal, norm = torch.zeros_like(delta), before, 0.0
        update = ClientUpdate(client, delta, self.data.num_examples(client), signals, contributes=is_finite)
        update.seconds = steps.seconds + time.perf_counter() - start
        update.metrics = describe_training(update, history, norm)
        return TrainedClient(update, personal)

    def demand_batches(self, client: str, got: int) -> None:
        """Raise ValueError unless a client's data gave a batch for every local step."""
        if got != self.federation.local_steps:
            raise ValueError(f"The data of {client} must give {self.federation.local_steps} batches. Got {got}.")

    def _take_steps(
        self, state: RoundState, client: str, local: LocalOptimizer, limit: TimeLimit
    ) -> list[dict[str, Tensor]]:
        """Take the local steps, or those there is time for, and return the losses of each by name.

        They are read when all are taken, unless time is limited: then the device is waited for in every step.
        """
        losses = []
        batches = self.batches(state, client)
        steps = self.federation.local_steps
        after = SIGNAL_BATCHES if self.federation.weighs_by_signals else 0
        self.seed_draws(state, client)
        self.module.train()
        self.module.zero_grad(set_to_none=True)
        for step, batch in enumerate(batches):
            batch = self.fabric.to_device(self.module.on_before_batch_transfer(batch, 0))
            with self.fabric.autocast():
                loss = self.module.training_step(batch, step)
            self.fabric.backward(loss)
            local.step()
            losses.append({"loss": loss.detach(), **self.module.losses})
            self.hooks.call("on_step", state, client, step, losses[-1])
            if limit.is_set and step + 1 < steps:
                loss.item()
                if not limit.has_room(after):
                    print(f"{_name(client, state)}: time for {step + 1} of {steps} steps.", flush=True)
                    return losses
        self.demand_batches(client, len(losses))
        return losses

    @torch.no_grad()
    def _measure(self, client: str) -> ClientSignals:
        """Score the trained module on the same few training batches in every round; only ISFA asks."""
        if not self.federation.weighs_by_signals:
            return UNKNOWN
        seed = derive_seed(self.seed, 0, client, "signals")
        batches = self.data.client_dataloader(client, steps=SIGNAL_BATCHES, seed=seed, split="train")
        seed_training(seed)
        self.module.eval()
        with self.fabric.autocast():
            return ClientSignals(*self.module.signals([self.fabric.to_device(batch) for batch in batches]))


def load_adapters(module: FederatedModule, global_adapter: Tensor, personal: ClientState) -> None:
    """Put a client's two adapters into a module."""
    write_vector(module.shared_parameters(), global_adapter)
    personal.restore(module.personal_parameters())


def _name(client: str, state: RoundState) -> str:
    """Return what a client's part of a round is called in messages, which count rounds from 1."""
    return f"Client {client}, round {state.index + 1}"
