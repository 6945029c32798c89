"""Leaves the settings of a run in its folder, for `--resume`, evaluate.py and whoever wants the same again."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from federation.hooks import FederationCallback
from federation.update import RoundState
from whole_files import save_text


class SavedSettings(FederationCallback):
    """Writes `OUT/config.yaml`, on rank 0. As an observer it is called after the pipeline, which may refuse settings.

    A refused `--resume` leaves those of the earlier run as they are.

    Args:
        out_dir: Folder of the run.
        settings: YAML; where it is empty, nothing is written.
    """

    def __init__(self, out_dir: Path, settings: str) -> None:
        self.out_dir, self.settings = out_dir, settings

    @override
    def on_run_start(self, state: RoundState) -> None:
        if state.is_main and self.settings:
            save_text(self.out_dir / "config.yaml", self.settings)
