"""Personal adapters that an earlier version left on a device, without a word on the session and the base model."""

from __future__ import annotations

import logging
from pathlib import Path

from federation.client_states import ClientState
from federation.deployment.personal_states import PersonalStates, list_rounds
from federation.secure_aggregation.session import Session

LOGGER = logging.getLogger(__name__)


def adopt_earlier_states(home: Path, states: PersonalStates, session: Session) -> None:
    """Take the files in `states` itself for this session's if they cannot be another's, else leave them, and say so.

    They are this session's where the device has begun no other. The one that is newest moves last: if that is cut
    short, it still lies where it is named at every start.

    Args:
        home: Of the device, with its `states` and `memory`.
        states: Of this session.
        session: The one that the device is about to take part in.
    """
    earlier = list_rounds(home / "states")
    if not earlier:
        return
    memory = home / "memory"
    begun = {path.name for path in memory.iterdir()} if memory.is_dir() else set()
    if begun == {session.id.hex()} and not list_rounds(states.folder) and _fits(earlier[-1][1], states.newcomer):
        for _, path in earlier:
            path.rename(states.folder / path.name)
        return
    LOGGER.warning(
        "%s holds personal adapters of an earlier version, which may be another session's. They stay, unused. "
        "Move them into %s if they are this session's, else into another folder.",
        home / "states",
        states.folder,
    )


def _fits(path: Path, newcomer: ClientState) -> bool:
    """Whether a file holds tensors of the newcomer's shapes."""
    return [value.shape for value in ClientState.load(path).personal] == [value.shape for value in newcomer.personal]
