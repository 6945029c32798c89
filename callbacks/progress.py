"""The progress bar: round, client, loss, epsilon and time left."""

from __future__ import annotations

import time

from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from federation.hooks import FederationCallback
from federation.update import RoundState

FORMAT = "{desc} {percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left{postfix}"


class Progress(FederationCallback):
    """Shows how far a run is, on rank 0.

    Rank 0 sees its own steps alone and counts each for all devices; at the end of a round the bar is exact again.

    Args:
        rounds: Rounds of the run.
        local_steps: Optimizer steps of a client in a round.
        devices: Devices that train at the same time.
    """

    def __init__(self, rounds: int, local_steps: int, devices: int) -> None:
        self.rounds, self.local_steps, self.devices = rounds, local_steps, devices
        self.bar: tqdm | None = None
        self.epsilon: float | None = None
        self.loss: Tensor | None = None

    @override
    def on_run_start(self, state: RoundState) -> None:
        if state.is_main:
            steps = len(state.clients) * self.local_steps
            self.bar = tqdm(
                total=self.rounds * steps, initial=state.index * steps, bar_format=FORMAT, mininterval=0.5, smoothing=0
            )

    @override
    def on_step(self, state: RoundState, client: str, step: int, losses: dict[str, Tensor]) -> None:
        if self.bar is None:
            return
        self.bar.set_description_str(f"round {state.index + 1}/{self.rounds}, {client}", refresh=False)
        self.loss = losses["loss"]
        if time.time() - self.bar.last_print_t >= self.bar.mininterval:  # to show a loss is to wait for the device
            self._show()
        end_of_round = self._steps_until(state.index + 1)
        self.bar.update(max(0, min(self.devices, end_of_round - self.bar.n)))

    @override
    def on_round_end(self, state: RoundState) -> None:
        """Make the bar exact; close it after the last round, before anybody prints conclusions."""
        if self.bar is None:
            return
        self.epsilon = state.metrics.get("released/epsilon")
        self._show()
        self.bar.update(self._steps_until(state.index + 1) - self.bar.n)
        if state.index + 1 == self.rounds:
            self.bar.close()

    def _show(self) -> None:
        loss = "" if self.loss is None else f"loss {self.loss:.3f}"
        spent = "" if self.epsilon is None else f"epsilon {self.epsilon:.2f}"
        self.bar.set_postfix_str(", ".join(filter(None, (loss, spent))), refresh=False)

    def _steps_until(self, rounds: int) -> int:
        return self.bar.total // self.rounds * rounds
