"""What clients who train on this machine keep to themselves from round to round."""

from __future__ import annotations

from dataclasses import dataclass

from federation.checkpoints import RoundFolders
from federation.client_states import ClientState


@dataclass(frozen=True)
class LocalStates:
    """Clients' personal states in a run's round folders; a client that has none yet starts as a newcomer."""

    folders: RoundFolders
    newcomer: ClientState
    """Empty where no part of the module is personal; then nothing is written."""

    def newest(self, client: str, rounds_done: int) -> ClientState:
        """Return the state that a client left in the newest of so many rounds that it trained in."""
        path = self.folders.client_file(client, rounds_done) if self.newcomer.personal else None
        return self.newcomer if path is None else ClientState.load(path)

    def keep(self, client: str, state: ClientState, rounds_done: int) -> None:
        """Write what a client leaves of a round, to be committed with it as number `rounds_done`."""
        if self.newcomer.personal:
            state.save(self.folders.new_client_file(client, rounds_done))
