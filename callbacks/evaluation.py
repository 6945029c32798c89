"""What the adapters are good for: the denoising loss on clips of the clients that nobody trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor
from typing_extensions import override

from federation.exchange import gather
from federation.hooks import FederationCallback
from federation.protocols import FederatedModule
from federation.seeding import derive_seed
from federation.update import RoundState
from federation.vectors import read_vector, write_vector

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


class Evaluation(FederationCallback):
    """Logs `local/held_out_*`: the base, with the global adapter, with the client's own identity adapter too.

    Clips, times and noise are the same in every evaluation, so that losses differ by the adapters alone. At the end
    of the run every stranger's adapter is tried as well. The figures are of private clips: no epsilon covers them,
    and nothing of the training depends on them.

    Args:
        fabric: Launched; the clients are divided over its devices.
        module: As built, before any round: its shared parameters change nothing about the base, or, with
            `shared_start`, are what the first round began with, and what `base` then means.
        data: The clients' clips.
        every: Rounds between evaluations; 0 is at the end of the run only.
        batches: Batches per client.
    """

    def __init__(
        self, fabric: Fabric, module: DenoisingModule, data: HeldOutData, every: int = 0, batches: int = 4
    ) -> None:
        self.fabric, self.module, self.data, self.every, self.batches = fabric, module, data, every, batches
        self.base = read_vector(module.shared_parameters())
        self.scored = [client for client in data.clients if data.splits(client)["test"]]

    @override
    def on_round_end(self, state: RoundState) -> None:
        if self.every and (state.index + 1) % self.every == 0:
            self._evaluate(state, strangers=False)

    @override
    def on_run_end(self, state: RoundState) -> None:
        self._evaluate(state, strangers=True)
        if state.is_main and self.scored:
            print(summary(state.metrics, self.scored), flush=True)

    @torch.no_grad()
    def _evaluate(self, state: RoundState, strangers: bool) -> None:
        own = self.scored[self.fabric.global_rank :: self.fabric.world_size]
        self.module.eval()
        parts = gather({client: self._losses(state, client, strangers) for client in own})
        for client, losses in sorted(item for part in parts for item in part.items()):
            state.metrics |= {f"local/held_out_{name}/{client}": value for name, value in losses.items()}
        for name in ("base", "shared", "own"):
            values = [state.metrics[f"local/held_out_{name}/{client}"] for client in self.scored]
            if values:
                state.metrics[f"local/held_out_{name}"] = sum(values) / len(values)

    def _losses(self, state: RoundState, client: str, strangers: bool) -> dict[str, float]:
        """Return one client's losses by adapters; `stranger` is the best of all other clients' identity adapters."""
        batches = self._batches(client)
        losses = {}
        for name, personal in (("own", client), ("shared", None)):
            state.load_adapters(personal)
            losses[name] = self._loss(client, batches)
        write_vector(self.module.shared_parameters(), self.base)
        losses["base"] = self._loss(client, batches)
        others = [other for other in self.data.clients if other != client] if strangers else []
        for other in others:
            state.load_adapters(other)
            losses["stranger"] = min(losses.get("stranger", float("inf")), self._loss(client, batches))
        return losses

    def _batches(self, client: str) -> list[dict[str, Tensor]]:
        seed = derive_seed(0, 0, client, "evaluation")
        loader = self.data.client_dataloader(client, steps=self.batches, seed=seed, split="test")
        return [self.fabric.to_device(batch) for batch in loader]

    def _loss(self, client: str, batches: list[dict[str, Tensor]]) -> float:
        """Return the mean loss over times spread evenly over the schedule."""
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


def summary(metrics: dict[str, float], clients: Sequence[str]) -> str:
    """Say in a line what the adapters are worth, and in another, where there are strangers, how much is one's own."""
    base, shared, own = (metrics[f"local/held_out_{name}"] for name in ("base", "shared", "own"))
    worth = (
        f"Held-out denoising loss: base {base:.4f}, with the global adapter {shared:.4f} ({shared / base - 1:+.1%}), "
        f"with the own identity adapter {own:.4f} ({own / base - 1:+.1%})."
    )
    strangers = {client: metrics.get(f"local/held_out_stranger/{client}") for client in clients}
    if None in strangers.values():
        return worth
    unique = [client for client in clients if metrics[f"local/held_out_own/{client}"] < strangers[client]]
    return f"{worth}\nThe own identity adapter beats every stranger's for {len(unique)} of {len(clients)} clients."
