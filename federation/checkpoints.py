"""Round folders: a round is written beside the last one and becomes the newest by one rename."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from pathlib import Path

from safetensors import SafetensorError

from federation.server_state import ServerState
from whole_files import put_in_place, sync

KEEP = 2
UNREADABLE = (OSError, ValueError, KeyError, TypeError, SafetensorError)
"""What reading a broken round can raise."""


class RoundFolders:
    """The folders `round_0001`, `round_0002`, ... under a root, named by how many rounds are done.

    Each holds `server.safetensors`, `server.json` and `clients/<id>/state.safetensors`. A crash at any moment leaves
    the last committed folder whole: one in progress is named `*.partial`. All devices must see the same file system.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def committed(self) -> list[Path]:
        """Return the committed folders, oldest first."""
        found = (path for path in self.root.glob("round_*") if re.fullmatch(r"round_\d{4,}", path.name))
        return sorted(found, key=lambda path: int(path.name.removeprefix("round_")))

    def latest(self) -> ServerState | None:
        """Return the server's state of the newest committed round, or None before the first.

        Raises:
            ValueError: If it cannot be read.
        """
        folders = self.committed()
        try:
            return ServerState.load(folders[-1]) if folders else None
        except UNREADABLE as error:
            raise ValueError(
                f"{folders[-1]} cannot be read ({error}). Bring it back from a copy, or start anew with another "
                "`--out_dir`."
            ) from error

    def open(self, fresh: ServerState, resume: bool) -> ServerState:
        """Return the state that a run starts from: the newest committed round's, or a fresh one if there is none.

        Raises:
            ValueError: If a new run would mix with rounds that are here, or those are of another model or seed.
        """
        latest = self.latest()
        if latest is None:
            return fresh
        if not resume:
            raise ValueError(
                f"`{self.root}` must hold no rounds for a new run. Got {latest.rounds_done} rounds. Continue with "
                "`--resume`, or choose another `--out_dir`."
            )
        latest.demand_fit(fresh)
        return latest

    def clean(self) -> None:
        """Remove what a crash left unfinished, and, with a warning, set aside newest rounds that cannot be read.

        They are kept, as `round_*.unreadable`: reading may have failed for no more than too many open files.
        Where none can be read, all stay as they are.
        """
        for path in self.root.glob("round_*.partial"):
            shutil.rmtree(path)
        broken = []
        for path in reversed(self.committed()):
            try:
                ServerState.load(path)
                break
            except UNREADABLE as error:
                broken.append((path, error))
        else:
            return
        for path, error in broken:
            aside = path.with_name(f"{path.name}.unreadable")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            warnings.warn(f"{path} cannot be read ({error}) and is now {aside.name}.", stacklevel=2)

    def client_file(self, client: str, rounds_done: int) -> Path | None:
        """Return the newest file of a client's state, if any: of the round in progress, else of the last one done."""
        for folder in (self._partial(rounds_done + 1), self._committed(rounds_done)):
            path = _client_path(folder, client)
            if path.exists():
                return path
        return None

    def new_client_file(self, client: str, rounds_done: int) -> Path:
        """Return where a client's state of the round in progress belongs."""
        return _client_path(self._partial(rounds_done), client)

    def begin(self, rounds_done: int) -> None:
        """Make an empty partial folder for the round that will make it `rounds_done`."""
        self.abandon(rounds_done)
        self._partial(rounds_done).mkdir(parents=True)

    def abandon(self, rounds_done: int) -> None:
        """Remove the partial folder."""
        shutil.rmtree(self._partial(rounds_done), ignore_errors=True)

    def commit(self, server: ServerState) -> Path:
        """Complete the partial folder and make it the newest by one rename; `prune` removes old ones.

        The states of all who did not train are carried over, also of clients whose clips are missing for now.

        Args:
            server: The server's state after the round.
        """
        partial, before = self._partial(server.rounds_done), self._committed(server.rounds_done - 1)
        for client in sorted(_clients_in(before) - _clients_in(partial)):
            _link_or_copy(_client_path(before, client), _client_path(partial, client))
        server.save(partial)
        for path in partial.rglob("*"):
            sync(path)  # devices go on from here: after a power cut the round must still be there
        return put_in_place(partial, self._committed(server.rounds_done))

    def prune(self) -> None:
        """Remove all but the two newest rounds; nobody need wait for it."""
        for path in self.committed()[:-KEEP]:
            shutil.rmtree(path)

    def _committed(self, rounds_done: int) -> Path:
        return self.root / f"round_{rounds_done:04d}"

    def _partial(self, rounds_done: int) -> Path:
        return self.root / f"round_{rounds_done:04d}.partial"


def _client_path(folder: Path, client: str) -> Path:
    return folder / "clients" / client / "state.safetensors"


def _clients_in(folder: Path) -> set[str]:
    """Return whose states a round's folder holds."""
    try:
        return set(os.listdir(folder / "clients"))
    except FileNotFoundError:
        return set()


def _link_or_copy(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
