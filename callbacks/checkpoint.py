"""Leaves the adapters of a run in peft's format, for generate.py and for anyone else's tools."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from torch import Tensor
from typing_extensions import override

from federation.hooks import FederationCallback
from federation.update import RoundState
from whole_files import whole_folder


class ExportableModule(Protocol):
    """A module that can write its adapters."""

    def export_adapter(self, name: Literal["shared", "identity"], folder: str | Path, **notes: object) -> None:
        """Write one adapter, and `adapter.json` with the base it belongs to and the notes."""


class Checkpoint(FederationCallback):
    """Exports, after each committed round, `OUT/global/` and `OUT/clients/<id>/identity/`, on rank 0.

    What a run continues from is committed by the rounds themselves (`federation.checkpoints`), beside it in
    `OUT/checkpoints/`. A deployment keeps `clients/<id>` on the client; only a simulation has both in one folder.

    Args:
        module: Writes the adapters it holds.
        clients: Whose identity adapters to export; empty if there is no personal part.
        out_dir: Folder of the run.
        export_global: Writes what the federation trains where that is no adapter, and returns what to note in the
            identity adapters instead, e.g. another base.
    """

    def __init__(
        self,
        module: ExportableModule,
        clients: list[str],
        out_dir: Path,
        export_global: Callable[[Path], dict[str, str]] | None = None,
    ) -> None:
        self.module, self.clients, self.out_dir, self.export_global = module, clients, out_dir, export_global

    @override
    def on_run_start(self, state: RoundState) -> None:
        """Export what a crash kept from being exported after the last commit."""
        if state.is_main and state.index and not self._is_exported(state):
            self._export(state, rounds_done=state.index)

    @override
    def on_round_end(self, state: RoundState) -> None:
        if state.is_main:
            self._export(state, rounds_done=state.index + 1)

    def _is_exported(self, state: RoundState) -> bool:
        """Return whether all adapters are there, of the newest round; a whole model does not say which it is of."""
        folders = [self._own(client) for client in self.clients]
        folders += [self.out_dir / "global"] if self.export_global is None else []
        newest = {"global_adapter": hash_adapter(state.global_adapter), "round": state.index}
        return bool(folders) and all(newest.items() <= _read_notes(folder).items() for folder in folders)

    def _export(self, state: RoundState, rounds_done: int) -> None:
        notes = {"global_adapter": hash_adapter(state.global_adapter), "round": rounds_done}
        state.load_adapters(None)
        with whole_folder(self.out_dir / "global") as folder:
            notes |= self._export_global(folder, notes)
        for client in self.clients:
            state.load_adapters(client)
            with whole_folder(self._own(client)) as folder:
                self.module.export_adapter("identity", folder, client=client, **notes)

    def _own(self, client: str) -> Path:
        return self.out_dir / "clients" / client / "identity"

    def _export_global(self, folder: Path, notes: dict[str, object]) -> dict[str, str]:
        if self.export_global is not None:
            return self.export_global(folder)
        self.module.export_adapter("shared", folder, **notes)
        return {}


def hash_adapter(vector: Tensor) -> str:
    """Return the SHA-256 of a global adapter's values."""
    return hashlib.sha256(vector.contiguous().numpy(force=True).tobytes()).hexdigest()


def _read_notes(folder: Path) -> dict[str, object]:
    """Return the notes of an exported adapter, none if it is not there."""
    notes = folder / "adapter.json"
    try:
        return json.loads(notes.read_text())
    except (FileNotFoundError, ValueError):  # not there, or cut short: it is exported again
        return {}
