"""One client's part of a round: load its adapters, take its local steps, return its update."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from federation.aggregation import proximal_step
from federation.args import AggregationArgs, FederationArgs
from federation.client_states import ClientState
from federation.protocols import FederatedData, FederatedModule
from federation.seeding import derive_seed, seed_training
from federation.update import ClientSignals, ClientUpdate, RoundState
from federation.vectors import read_vector, write_vector

SIGNAL_BATCHES = 2
UNKNOWN = ClientSignals(identity=0.0, stability=0.0)

StepHook = Callable[[RoundState, str, int, dict[str, float]], None]


@dataclass
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
    on_step: StepHook

    def __post_init__(self) -> None:
        self._fresh_precision = self.fabric.strategy.precision.state_dict()

    def train(self, state: RoundState, client: str, before: ClientState) -> TrainedClient:
        """Train one client from the global adapter and its personal state.

        Fails closed: where a loss, the update or the personal adapter is not finite, the update is zero and the
        personal state stays as it was.
        """
        start = time.perf_counter()
        self.load(state.global_adapter, before)
        optimizers = self._fresh_optimizers(before)
        losses = self._take_steps(state, client, optimizers)
        delta = read_vector(self.module.shared_parameters()) - state.global_adapter
        after = ClientState.capture(self.module.personal_parameters(), optimizers.get("personal"))
        failed = not _all_finite([delta, *after.personal, torch.tensor(losses["loss"])])
        if failed:
            print(f"Client {client}, round {state.index}: training was not finite. Its update is zero.", flush=True)
            delta, after = torch.zeros_like(delta), before
        signals = UNKNOWN if failed else self._measure(client)
        update = ClientUpdate(client, delta, self.data.num_examples(client), signals, contributes=not failed)
        update.seconds = time.perf_counter() - start
        update.metrics = _describe(update, losses, failed)
        return TrainedClient(update, after)

    def load(self, global_adapter: Tensor, personal: ClientState, optimizer: Optimizer | None = None) -> None:
        """Put a client's two adapters into the module."""
        write_vector(self.module.shared_parameters(), global_adapter)
        personal.restore(self.module.personal_parameters(), optimizer)

    def _fresh_optimizers(self, before: ClientState) -> dict[str, Optimizer]:
        """Return the shared optimizer without, the personal one with its state; a gradient scaler starts anew."""
        optimizers = self.module.configure_optimizers()
        before.restore(self.module.personal_parameters(), optimizers.get("personal"))
        self.fabric.strategy.precision.load_state_dict(self._fresh_precision)
        return optimizers

    def _take_steps(self, state: RoundState, client: str, optimizers: dict[str, Optimizer]) -> dict[str, list[float]]:
        """Take the local steps, or fewer when a loss is not finite, and return the losses of each step by name."""
        steps, losses = self.federation.local_steps, defaultdict(list)
        anchors = self._anchors()
        batches_seed = derive_seed(self.seed, state.index, client, "batches")
        batches = self.data.client_dataloader(client, steps=steps, seed=batches_seed, split="train")
        seed_training(derive_seed(self.seed, state.index, client, "training"))
        self.module.train()
        for step, batch in enumerate(batches):
            loss = self._step(self.fabric.to_device(batch), step, optimizers, anchors)
            losses["loss"].append(loss)
            if not math.isfinite(loss):
                break
            for name, value in self.module.losses.items():
                losses[name].append(float(value)) if name != "loss" else None
            self.on_step(state, client, step, {"loss": loss, **self.module.losses})
        if len(losses["loss"]) != steps and math.isfinite(loss):
            raise ValueError(f"The data of {client} must give {steps} batches. Got {len(losses['loss'])}.")
        return losses

    def _anchors(self) -> dict[Tensor, Tensor]:
        """Return copies of the shared parameters; only FedProx asks."""
        if self.federation.aggregation != "fedprox":
            return {}
        return {parameter: parameter.detach().clone() for parameter in self.module.shared_parameters()}

    def _step(self, batch: object, step: int, optimizers: dict[str, Optimizer], anchors: dict[Tensor, Tensor]) -> float:
        """Take one step of both adapters on one loss, each with its own gradient clip, and return the loss."""
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        with self.fabric.autocast():
            loss = self.module.training_step(batch, step)
        if not torch.isfinite(loss):
            return loss.item()
        self.fabric.backward(loss)
        limits = {"shared": self.federation.shared_gradient_clip, "personal": self.federation.personal_gradient_clip}
        for part, optimizer in optimizers.items():
            self.fabric.clip_gradients(self.module, optimizer, max_norm=limits[part], error_if_nonfinite=False)
        _step_together(getattr(self.fabric.strategy.precision, "scaler", None), list(optimizers.values()))
        if self.federation.aggregation == "fedprox":
            proximal_step(optimizers["shared"], anchors, self.aggregation.proximal_mu)
        return loss.item()

    @torch.no_grad()
    def _measure(self, client: str) -> ClientSignals:
        """Score the trained module on the same few training batches in every round; only ISFA asks."""
        if self.federation.aggregation != "isfa":
            return UNKNOWN
        seed = derive_seed(self.seed, 0, client, "signals")
        batches = self.data.client_dataloader(client, steps=SIGNAL_BATCHES, seed=seed, split="train")
        seed_training(seed)
        self.module.eval()
        with self.fabric.autocast():
            return self.module.signals([self.fabric.to_device(batch) for batch in batches])


def _step_together(scaler: torch.amp.GradScaler | None, optimizers: list[Optimizer]) -> None:
    """Step all optimizers of one backward pass; a scaler must update once, after all of them."""
    for optimizer in optimizers:
        optimizer.step() if scaler is None else scaler.step(optimizer)
    if scaler is not None:
        scaler.update()


def _all_finite(tensors: list[Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def _describe(update: ClientUpdate, losses: dict[str, list[float]], failed: bool) -> dict[str, float]:
    """Return what the device sees of its own training: mean losses, the update's norm, scores, seconds."""
    return {
        **{name: sum(values) / len(values) for name, values in losses.items() if values},
        "update_norm": float(update.delta.norm()),
        "identity_score": update.signals.identity,
        "stability_score": update.signals.stability,
        "seconds": update.seconds,
        "failed": float(failed),
    }
