"""The personal adapter on a device, one file per round, so that a round that is tried again starts where it started."""

from __future__ import annotations

import re
from pathlib import Path

from federation.client_states import ClientState

KEEP = 2


class PersonalStates:
    """A folder of `round_0001.safetensors`, ...: what the client keeps after so many rounds.

    Args:
        folder: Readable by its owner only; made if missing.
        newcomer: The state before the first round.
    """

    def __init__(self, folder: Path, newcomer: ClientState) -> None:
        self.folder, self.newcomer = folder, newcomer
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def before(self, round: int) -> ClientState:
        """Return the newest state of an earlier round; a server that lost rounds gets the older one."""
        earlier = [path for number, path in self._files() if number <= round]
        return ClientState.load(earlier[-1]) if earlier else self.newcomer

    def keep(self, round: int, state: ClientState) -> None:
        """Save the state after a round."""
        state.save(self.folder / f"round_{round + 1:04d}.safetensors")
        for _, path in self._files()[:-KEEP]:
            path.unlink()

    def _files(self) -> list[tuple[int, Path]]:
        """Return the files with the number of rounds behind them, in order."""
        found = ((re.fullmatch(r"round_(\d+)\.safetensors", path.name), path) for path in self.folder.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)
