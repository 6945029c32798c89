"""A simulation engine in the environment in which it is installed: asked for its version, started, its result read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engines.work import Done, Work
from deploy.processes import Processes

ROOT = Path(__file__).parents[2]
VERSIONS = "import sys; from importlib.metadata import version; print(*(f'{p} {version(p)}' for p in sys.argv[1:]))"
QUIET = {
    "OMP_NUM_THREADS": "1",
    "PFL_PYTORCH_DEVICE": "cpu",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""One thread in each process, on the CPU, and nobody outside is told of it."""


@dataclass(frozen=True)
class Engine:
    """How an engine is started."""

    name: str
    module: str
    """In this package."""
    python: str = sys.executable
    """Of its environment."""
    packages: tuple[str, ...] = ()
    """Those it needs beside torch."""
    is_torchrun: bool = False
    """Whether torchrun starts its processes; else it starts them itself."""
    saves: bool = False
    """Whether it writes what a run continues from after each round."""

    def versions(self) -> str | None:
        """Return the versions of its packages, None if one is not installed."""
        asked = subprocess.run([self.python, "-c", VERSIONS, *self.packages], capture_output=True, text=True)
        return None if asked.returncode else asked.stdout.strip()

    def run(self, work: Work, limit: float = 600.0) -> Done:
        """Do the work in fresh processes, none of which outlives this call.

        Args:
            work: What to do.
            limit: Seconds that all of it may take.

        Raises:
            RuntimeError: If the engine fails, with the end of what it said.
            TimeoutError: If it is not done in time.
        """
        with TemporaryDirectory() as folder, Processes(Path(folder) / "logs") as processes:
            out = Path(folder) / "done.json"
            told = QUIET | {"PYTHONPATH": str(ROOT), "FLWR_HOME": f"{folder}/flower", "RAY_TMPDIR": folder}
            job = replace(work, saves=self.saves).to_json()
            line = [*self._launcher(work.processes), f"benchmarks.engines.{self.module}", job, str(out)]
            processes.start(self.name, line, os.environ | told)
            try:
                processes.running[self.name].wait(limit)
            except subprocess.TimeoutExpired:
                raise TimeoutError(
                    f"{self.name} was not done after {limit:g} seconds and is ended. "
                    f"Give `--limit` more, or less work. {processes.last_words(self.name)}"
                ) from None
            if not out.exists():
                raise RuntimeError(f"{self.name} ended without a result: {processes.last_words(self.name)}")
            return Done(**json.loads(out.read_text()))

    def _launcher(self, processes: int) -> list[str]:
        if not self.is_torchrun:
            return [self.python, "-m"]
        return [self.python, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m"]
