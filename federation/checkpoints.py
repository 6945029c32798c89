"""Round folders: a round is written beside the last one and becomes the newest by one rename."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

KEEP = 2


@dataclass
class ServerState:
    """All that the server carries from round to round."""

    rounds_done: int
    global_adapter: Tensor
    """Shape (d,), float32."""
    clip_norm: float
    seed: int
    backbone: str
    """Fingerprint of everything that is frozen; a run can only go on with the same."""
    velocity: Tensor | None = None
    """Momentum of the server step, shape (d,)."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What hooks carry along, e.g. the head of the privacy ledger."""

    def demand_fit(self, fresh: ServerState) -> None:
        """Refuse to go on from here with another model or seed than `fresh` has.

        Raises:
            ValueError: If they differ.
        """
        for what, ours, theirs in (
            ("seed", self.seed, fresh.seed),
            ("size of the global adapter", self.global_adapter.numel(), fresh.global_adapter.numel()),
            ("frozen part of the model", self.backbone, fresh.backbone),
        ):
            if ours != theirs:
                raise ValueError(
                    f"The {what} must be the one the run was started with, {ours}. Got {theirs}. Use the run's own "
                    "config, or start anew in another `--out_dir`."
                )


class RoundFolders:
    """The folders `round_0001`, `round_0002`, ... under a root, named by how many rounds are done.

    Each holds `server.safetensors`, `server.json` and `clients/<id>/state.safetensors`. A crash at any moment leaves
    the last committed folder whole: what is in work is named `*.partial`. All devices must see the same file system.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def committed(self) -> list[Path]:
        """Return the committed folders, oldest first."""
        return sorted(path for path in self.root.glob("round_*") if re.fullmatch(r"round_\d{4,}", path.name))

    def latest(self) -> ServerState | None:
        """Return the server's state of the newest committed round, or None before the first."""
        folders = self.committed()
        return _read_server(folders[-1]) if folders else None

    def clean(self) -> None:
        """Remove what a crash left: partial folders and, with a warning, newest folders that cannot be read."""
        for path in self.root.glob("round_*.partial"):
            shutil.rmtree(path)
        for path in reversed(self.committed()):
            try:
                _read_server(path)
                return
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                warnings.warn(f"{path} cannot be read ({error}) and is removed.", stacklevel=2)
                shutil.rmtree(path)

    def client_file(self, client: str, rounds_done: int) -> Path | None:
        """Return the newest file of a client's state, if any: the round's in work after `rounds_done`, else theirs."""
        for folder in (self._partial(rounds_done + 1), self._committed(rounds_done)):
            path = _client_path(folder, client)
            if path.exists():
                return path
        return None

    def new_client_file(self, client: str, rounds_done: int) -> Path:
        """Return where a client's state of the round in work belongs."""
        return _client_path(self._partial(rounds_done), client)

    def begin(self, rounds_done: int) -> None:
        """Make an empty partial folder for the round that will make it `rounds_done`."""
        self.abandon(rounds_done)
        self._partial(rounds_done).mkdir(parents=True)

    def abandon(self, rounds_done: int) -> None:
        """Remove the partial folder."""
        shutil.rmtree(self._partial(rounds_done), ignore_errors=True)

    def commit(self, server: ServerState, clients: Iterable[str]) -> Path:
        """Complete the partial folder, make it the newest by one rename and remove old ones.

        Args:
            server: The server's state after the round.
            clients: Whose states to carry over where they did not train.
        """
        partial = self._partial(server.rounds_done)
        for client in clients:
            old, new = self.client_file(client, server.rounds_done - 1), _client_path(partial, client)
            if old is not None and old != new:
                _link_or_copy(old, new)
        _write_server(partial, server)
        folder = self._committed(server.rounds_done)
        partial.rename(folder)
        for path in self.committed()[:-KEEP]:
            shutil.rmtree(path)
        return folder

    def _committed(self, rounds_done: int) -> Path:
        return self.root / f"round_{rounds_done:04d}"

    def _partial(self, rounds_done: int) -> Path:
        return self.root / f"round_{rounds_done:04d}.partial"


def _client_path(folder: Path, client: str) -> Path:
    return folder / "clients" / client / "state.safetensors"


def _link_or_copy(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _write_server(folder: Path, server: ServerState) -> None:
    tensors = {"global_adapter": server.global_adapter}
    if server.velocity is not None:
        tensors["velocity"] = server.velocity
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "server.safetensors")
    fields = ("rounds_done", "clip_norm", "seed", "backbone", "notes")
    text = json.dumps({name: getattr(server, name) for name in fields}, indent=2)
    (folder / "server.json").write_text(text + "\n")


def _read_server(folder: Path) -> ServerState:
    tensors = load_file(folder / "server.safetensors")
    return ServerState(
        **json.loads((folder / "server.json").read_text()),
        global_adapter=tensors["global_adapter"],
        velocity=tensors.get("velocity"),
    )
