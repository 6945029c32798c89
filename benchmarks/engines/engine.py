"""A simulation engine in the environment in which it is installed: asked for its version, started, its result read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engines.work import Done, Work

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

    def versions(self) -> str | None:
        """Return the versions of its packages, None if one is not installed."""
        asked = subprocess.run([self.python, "-c", VERSIONS, *self.packages], capture_output=True, text=True)
        return None if asked.returncode else asked.stdout.strip()

    def run(self, work: Work) -> Done:
        """Do the work in fresh processes.

        Raises:
            RuntimeError: If the engine fails, with the end of what it said.
        """
        with TemporaryDirectory() as folder:
            out = Path(folder) / "done.json"
            told = QUIET | {"PYTHONPATH": str(ROOT), "FLWR_HOME": f"{folder}/flower", "RAY_TMPDIR": folder}
            line = [*self._launcher(work.processes), f"benchmarks.engines.{self.module}", work.to_json(), str(out)]
            ran = subprocess.run(line, cwd=ROOT, env=os.environ | told, capture_output=True, text=True)
            if not out.exists():
                raise RuntimeError(f"{self.name} ended without a result: {ran.stderr[-2000:]}")
            return Done(**json.loads(out.read_text()))

    def _launcher(self, processes: int) -> list[str]:
        if not self.is_torchrun:
            return [self.python, "-m"]
        return [self.python, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m"]
