"""A run to audit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import train

SETTINGS = """\
module: {class_path: tests.tiny_command.CommandModule}
data: {class_path: tests.tiny_command.CommandData}
federation: {rounds: 2, local_steps: 1, sample_rate: 0.5}
privacy: {key_source: seeded, noise_multiplier: 2.0}
accelerator: cpu
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """Train two rounds in this process and return the folder of the run."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "tiny.yaml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("federation.privacy.summary.smallest_population", lambda *args: 9)
        return train.run(["--config", str(folder / "tiny.yaml"), "--out_dir", str(folder / "run")])


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """Return a copy that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "run"))
