"""What the released adapter is worth to people who are no clients: public, and all that a server has."""

from __future__ import annotations

import torch
from lightning.fabric import Fabric
from torch import Tensor
from typing_extensions import override

from callbacks.held_out_loss import DenoisingModule, HeldOutData, HeldOutLoss
from federation.hooks import FederationCallback
from federation.update import RoundState
from federation.vectors import read_vector, write_vector


class ReleasedWorth(FederationCallback):
    """Logs the mean loss on public people's held-out clips of the base, and with the released adapter, on rank 0.

    As `released/held_out_base` and `released/held_out_shared`: they follow from public clips and a released adapter.

    Args:
        fabric: Launched.
        module: As built, before any round; see `AdapterWorth` for what `base` means.
        data: Public people's clips.
        every: Rounds between evaluations; 0 is at the end of the run only.
        batches: Batches per person.
    """

    def __init__(
        self, fabric: Fabric, module: DenoisingModule, data: HeldOutData, every: int = 0, batches: int = 4
    ) -> None:
        self.module, self.every = module, every
        self.loss = HeldOutLoss(fabric, module, data, batches)
        self.base = read_vector(module.shared_parameters())

    @override
    def on_round_end(self, state: RoundState) -> None:
        if self.every and (state.index + 1) % self.every == 0:
            self._evaluate(state)

    @override
    def on_run_end(self, state: RoundState) -> None:
        self._evaluate(state)

    @torch.no_grad()
    def _evaluate(self, state: RoundState) -> None:
        if not state.is_main:
            return
        batches = {person: self.loss.batches(person) for person in self.loss.clients}
        self.module.eval()
        state.load_adapters(None)
        state.metrics["released/held_out_shared"] = self._mean(batches)
        write_vector(self.module.shared_parameters(), self.base)
        state.metrics["released/held_out_base"] = self._mean(batches)

    def _mean(self, batches: dict[str, list[dict[str, Tensor]]]) -> float:
        return sum(self.loss.measure(person, own) for person, own in batches.items()) / len(batches)
