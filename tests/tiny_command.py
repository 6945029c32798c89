"""A module and data that `train.py` can be given by class path, and the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lightning import LightningDataModule

from tests.tiny import NAMES, TinyData, TinyModule

ROOT = Path(__file__).parent.parent
CONFIG = """\
module: {class_path: tests.tiny_command.CommandModule}
data: {class_path: tests.tiny_command.CommandData}
federation: {rounds: 2, local_steps: 2}
privacy: {key_source: seeded}
accelerator: cpu
"""


class CommandModule(TinyModule):
    """A tiny module that tells how it was built."""

    def __init__(self, learning_rate: float = 1e-2, trainable: str = "adapter") -> None:
        super().__init__(learning_rate)
        self.trainable = trainable


class CommandData(TinyData, LightningDataModule):
    """Eight clients, or fewer."""

    def __init__(self, people: int = 8) -> None:
        LightningDataModule.__init__(self)
        TinyData.__init__(self, NAMES[:people])

    def setup(self, stage: str | None = None) -> None:
        if not self.clients:
            raise ValueError("`--data.people` must be at least 1.\nGot 0.")


class DeviceData(TinyData, LightningDataModule):
    """Three clients, or the one whose device this is; everybody's batches are the same on any device."""

    def __init__(self, root: str = "", people: list[str] | None = None, cache_dir: str | None = None) -> None:
        LightningDataModule.__init__(self)
        TinyData.__init__(self, people or ("alice", "bela", "chen"))

    def num_examples(self, client: str) -> int:
        return 40 * len(client)


def train_command(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `python train.py` in a folder of its own, with `tiny.yaml` beside it."""
    (folder / "tiny.yaml").write_text(CONFIG)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "train.py"), *args]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
