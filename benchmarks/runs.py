"""Runs as `train.py` makes them: one that is there, read back, or a short one whose rounds are timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from benchmarks.stopwatch import Stopwatch
from callbacks.held_out_loss import DenoisingModule, HeldOutData
from compute import make_fabric
from datamodules.clients import ClientDataModule
from datamodules.kept_splits import read_splits
from federation.agreed_settings import AgreedSettings
from federation.hooks import FederationCallback
from federation.key_source import OperatingSystemKeys
from federation.rounds import FederatedRounds
from launching import read_clients
from pipeline import build_pipeline
from settings import read_settings

Pipeline = Sequence[FederationCallback]


@dataclass(frozen=True)
class Run:
    """A finished run: its model without trained adapters, its clients, and the folder that holds the adapters."""

    folder: Path
    fabric: Fabric
    module: DenoisingModule
    data: HeldOutData

    def load_shared(self) -> None:
        """Put the global adapter into the module."""
        self.module.load_adapter("shared", self.folder / "global")

    def load_identity(self, client: str) -> None:
        """Put a client's identity adapter into the module."""
        self.module.load_adapter("identity", self.folder / "clients" / client / "identity")


def open_run(folder: str | Path, *overrides: str) -> Run:
    """Build the module and data of a run from its own config.yaml, on one device.

    Args:
        folder: `--out_dir` of the run.
        overrides: Further options of train.py, e.g. `--data.root=DIR`.

    Raises:
        FileNotFoundError: If there is no run.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise FileNotFoundError(
            f"No run in {folder} (no config.yaml). Run `python train.py --config configs/demo.yaml`."
        )
    chosen = read_settings(folder / "config.yaml", "--devices=1", "--strategy=auto", *overrides)
    fabric = make_fabric(chosen.accelerator, 1, "auto", chosen.precision)
    read_clients(chosen.data, chosen.module, processes=1)
    if isinstance(chosen.data, ClientDataModule):
        chosen.data.assign(read_splits(folder))
    fabric.to_device(chosen.module)
    return Run(folder, fabric, chosen.module, chosen.data)


def run_timed(settings: Any, folder: Path, wrap: Callable[[Pipeline], Pipeline] = list) -> Stopwatch:
    """Run the rounds of `train.py` with its pipeline, nobody watching, and return the time each took.

    Clips are read and encoded before the first round, so that no round pays for it.

    Args:
        settings: From `read_settings`.
        folder: Gets checkpoints and ledger.
        wrap: Called with the pipeline; returns what takes its place.
    """
    fabric = make_fabric(settings.accelerator, settings.devices, settings.strategy, settings.precision)
    module, data = settings.module, settings.data
    read_clients(data, module, processes=settings.devices)
    fabric.launch()
    if isinstance(data, ClientDataModule):
        for client in data.clients:
            data.encoded(client, "train")
    agreed = AgreedSettings.of(settings)
    pipeline = build_pipeline(OperatingSystemKeys(), agreed, settings.owner, clients=len(data.clients), out_dir=folder)
    watch = Stopwatch()
    FederatedRounds(
        fabric,
        module,
        data,
        agreed,
        pipeline=wrap(pipeline),
        observers=[watch],
        checkpoint_dir=folder / "checkpoints",
        seed=settings.seed,
    ).run()
    return watch
