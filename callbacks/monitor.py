"""Writes the figures of a run: TensorBoard events and one csv table for each of the two kinds."""

from __future__ import annotations

import csv
import resource
from pathlib import Path
from typing import Literal

import torch
from lightning.fabric.loggers import TensorBoardLogger
from torch import Tensor
from typing_extensions import override

from federation.hooks import FederationCallback
from federation.update import RoundState


class Monitor(FederationCallback):
    """Logs `state.metrics` once a round, on rank 0, in two places that are never mixed.

    `OUT/released/` and `OUT/metrics.csv`: functions of the unmasked sum and of public people, covered by the epsilon.
    `OUT/local/`: what a device sees of itself. A simulation shows it; a deployment never sends it, and no epsilon
    covers it. In TensorBoard every client is a run of its own, so that one chart holds all of them.

    Args:
        out_dir: Folder of the run.
    """

    def __init__(self, out_dir: Path) -> None:
        self.tables = {"released": out_dir / "metrics.csv", "local": out_dir / "local" / "metrics.csv"}
        self.out_dir = out_dir
        self.loggers: dict[Path, TensorBoardLogger] = {}
        self.rounds_done = 0
        self._logged: dict[str, float] = {}
        """The newest figure of this round under each tag."""

    @override
    def on_run_start(self, state: RoundState) -> None:
        self.rounds_done = state.index

    @override
    def on_round_start(self, state: RoundState) -> None:
        self._logged = {}

    @override
    def on_round_end(self, state: RoundState) -> None:
        if state.is_main:
            state.metrics["local/peak_memory_mb"] = peak_memory()
        self.log_round(state)

    def log_round(self, state: RoundState) -> None:
        """Log what is measured of a round so far."""
        self.rounds_done = state.index + 1
        if state.is_main:
            self._log(state)

    @override
    def on_run_end(self, state: RoundState) -> None:
        """Log what was measured after the last round; `state` may be of a round that the budget did not allow."""
        if not state.is_main:
            return
        self._log(state)
        for logger in self.loggers.values():
            logger.finalize("success")

    def show(self, kind: Literal["released", "local"], tag: str, picture: Tensor) -> None:
        """Show a picture, uint8 (3, height, width), in TensorBoard; call it on rank 0."""
        folder, name = place(kind, tag)
        self._logger(folder).experiment.add_image(name, picture, self.rounds_done)

    def _log(self, state: RoundState) -> None:
        """Log the figures that were measured since the last time: a figure measured again may have the same value.

        Raises:
            ValueError: If a figure does not say by its name whether it may leave a device.
        """
        if strange := [tag for tag in state.metrics if not tag.startswith(("released/", "local/"))]:
            raise ValueError(f"A figure's name must begin with released/ or local/. Got {', '.join(strange)}.")
        fresh = {tag: value for tag, value in state.metrics.items() if value is not self._logged.get(tag)}
        for kind, table in self.tables.items():
            figures = {tag: value for tag, value in fresh.items() if tag.startswith(f"{kind}/")}
            if figures:
                append_figures(table, self.rounds_done, figures)
            for tag, value in figures.items():
                folder, name = place(kind, tag)
                self._logger(folder).log_metrics({name: value}, step=self.rounds_done)
        self._logged |= fresh

    def _logger(self, folder: Path) -> TensorBoardLogger:
        if folder not in self.loggers:
            self.loggers[folder] = TensorBoardLogger(self.out_dir, name="", version=str(folder))
        return self.loggers[folder]


class EarlyLog(FederationCallback):
    """Has a monitor log a round before what takes long: a run that is stopped there has lost none of its figures."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor

    @override
    def on_round_end(self, state: RoundState) -> None:
        self.monitor.log_round(state)


def place(kind: Literal["released", "local"], tag: str) -> tuple[Path, str]:
    """Return the folder of events of a figure, and its name there: `local/loss/ann` is ann's `local/loss`."""
    parts = tag.split("/", 2)
    folder = Path(kind, "people", parts[2]) if len(parts) > 2 else Path(kind)
    return folder, "/".join(parts[:2])


def append_figures(path: Path, round_number: int, figures: dict[str, float]) -> None:
    """Append rows `round, tag, value` to a csv table, with its header if it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["round", "tag", "value"])
        writer.writerows((round_number, tag, value) for tag, value in figures.items())


def peak_memory() -> float:
    """Return the most memory this process has held, in MiB: of the GPU where there is one, else of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts KiB
