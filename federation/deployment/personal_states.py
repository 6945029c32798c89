"""The personal adapter on a device, one file per round, so that a round that is tried again starts from the same."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from federation.client_states import ClientState
from federation.fingerprint import fingerprint_frozen
from federation.protocols import FederatedModule
from federation.secure_aggregation.framing import digest
from federation.secure_aggregation.session import Session

LOGGER = logging.getLogger(__name__)

KEEP = 2
PERSONAL = b"PrivFedTalk personal adapter v1"
NAME_CHARACTERS = 16
"""Of a hash that names a folder."""


class PersonalStates:
    """A folder `model`/`session` of `round_0001.safetensors`, ...: what the client keeps after that many rounds.

    Every session has files of its own, and never touches another's. One that continues an earlier one's run (more
    rounds, another roster) continues with what the client had then; a new run begins with the newcomer. What was
    trained on another base model, or has other shapes, lies in another folder and is never loaded.

    Args:
        folder: Readable by its owner only; made if missing.
        model: What the adapter fits; see `name_model`.
        session: Whose rounds they are.
        newcomer: The state before the first round.
    """

    def __init__(self, folder: Path, model: str, session: str, newcomer: ClientState) -> None:
        self.folder, self.newcomer = folder / model / session, newcomer
        for path in (folder, self.folder.parent, self.folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @classmethod
    def of(cls, folder: Path, module: FederatedModule, session: Session) -> PersonalStates:
        """Return the states of a session for a module as it was made, before training."""
        newcomer = ClientState.capture(module.personal_parameters())
        return cls(folder, name_model(module), session.id.hex()[:NAME_CHARACTERS], newcomer)

    def before(self, round: int) -> ClientState:
        """Return the newest state of an earlier round; a server that lost rounds gets the older one.

        Where this session has none, it is that of the session that was trained in last and has one.
        """
        for folder in [self.folder, *self._other_sessions()]:
            if earlier := [path for number, path in list_rounds(folder) if number <= round]:
                if folder != self.folder:
                    LOGGER.warning("Round %d goes on with the personal adapter in %s.", round + 1, earlier[-1])
                return ClientState.load(earlier[-1])
        return self.newcomer

    def newest(self) -> ClientState:
        """Return what this session has trained last.

        Raises:
            FileNotFoundError: If nothing.
        """
        rounds = list_rounds(self.folder)
        if not rounds:
            raise FileNotFoundError(f"{self.folder} must hold a personal adapter. It holds none: train a round first.")
        return ClientState.load(rounds[-1][1])

    def keep(self, round: int, state: ClientState) -> None:
        """Save the state after a round, and remove those that no round of this session can start from any more."""
        state.save(self.folder / f"round_{round + 1:04d}.safetensors")
        past = [path for number, path in list_rounds(self.folder) if number <= round + 1]
        for path in past[:-KEEP]:
            path.unlink()

    def _other_sessions(self) -> list[Path]:
        """Return the folders of other sessions that have trained such an adapter, the last one first."""
        others = {path: list_rounds(path) for path in self.folder.parent.iterdir() if path != self.folder}
        return sorted(filter(others.get, others), key=lambda path: others[path][-1][1].stat().st_mtime, reverse=True)


def name_model(module: FederatedModule) -> str:
    """Return a name for what a personal adapter fits: the weights that it changes, and its own shapes."""
    shapes = str([tuple(parameter.shape) for parameter in module.personal_parameters()])
    return digest(PERSONAL, fingerprint_frozen(module).encode(), shapes.encode()).hex()[:NAME_CHARACTERS]


def list_rounds(folder: Path) -> list[tuple[int, Path]]:
    """Return the files of a folder with the number of rounds behind them, in order."""
    found = ((re.fullmatch(r"round_(\d+)\.safetensors", path.name), path) for path in folder.glob("*"))
    return sorted((int(match[1]), path) for match, path in found if match)
