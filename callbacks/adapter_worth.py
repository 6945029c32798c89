"""What the adapters are worth to their owners: the loss on their held-out clips, shown while a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from lightning.fabric import Fabric
from typing_extensions import override

from callbacks.held_out_loss import DenoisingModule, HeldOutData, HeldOutLoss
from federation.exchange import gather
from federation.hooks import FederationCallback
from federation.seeding import derive_seed
from federation.update import RoundState
from federation.vectors import read_vector, write_vector

STRANGERS = 8
"""Other clients whose adapters are tried on each client's clips: all of them would be a square of the clients."""


class AdapterWorth(FederationCallback):
    """Logs the loss of the base, with the global adapter, and with the client's own, too, as `local/held_out_*`.

    At the end of the run some strangers' adapters are tried as well. The figures are of private clips: no epsilon
    covers them, and nothing of the training depends on them.

    Args:
        fabric: Launched; the clients are divided over its devices.
        module: As built, before any round. What its shared parameters are then is what `base` means: an adapter that
            changes nothing, or, with `shared_start`, the one that the first round began with.
        data: The clients' clips.
        every: Rounds between evaluations; 0 is at the end of the run only.
        batches: Batches per client.
    """

    def __init__(
        self, fabric: Fabric, module: DenoisingModule, data: HeldOutData, every: int = 0, batches: int = 4
    ) -> None:
        self.fabric, self.module, self.data, self.every = fabric, module, data, every
        self.loss = HeldOutLoss(fabric, module, data, batches)
        self.base = read_vector(module.shared_parameters())
        self.scored = self.loss.clients

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
        """Return one client's losses by adapters; `stranger` is the best of the strangers' identity adapters."""
        batches = self.loss.batches(client)
        losses = {}
        for name, personal in (("own", client), ("shared", None)):
            state.load_adapters(personal)
            losses[name] = self.loss.measure(client, batches)
        write_vector(self.module.shared_parameters(), self.base)
        losses["base"] = self.loss.measure(client, batches)
        for other in self._strangers(client) if strangers else []:
            state.load_adapters(other)
            losses["stranger"] = min(losses.get("stranger", float("inf")), self.loss.measure(client, batches))
        return losses

    def _strangers(self, client: str) -> list[str]:
        """Return some other clients, always the same; where nothing is personal, nobody is a stranger."""
        others = [other for other in self.data.clients if other != client] if self.module.personal_parameters() else []
        return Random(derive_seed(0, 0, client, "strangers")).sample(others, min(STRANGERS, len(others)))


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
    said = (
        f"The own identity adapter beats every stranger's that was tried for {len(unique)} of {len(clients)} clients."
    )
    return f"{worth}\n{said}"
