"""All ways in which the tests bend a message between client and server, by name."""

from __future__ import annotations

from dataclasses import dataclass

from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.bending import GENERIC, VICTIM, Change
from tests.federation.secure_aggregation.bent_messages import FROM_CLIENT
from tests.federation.secure_aggregation.bent_requests import TO_CLIENT
from tests.federation.secure_aggregation.parties import Parties


@dataclass(frozen=True)
class Case:
    """One way to bend one message."""

    stage: Stage
    """The server's stage: requests open it, messages belong to it."""
    to_client: bool
    """Whether a request is bent, or a client's message."""
    change: Change
    error: type[ProtocolError]

    def attack(self, parties: Parties) -> None:
        """Run a round in which one message of the victim, or one request to it, is bent."""
        victim = parties.names[VICTIM]
        parties.advance(self.stage)
        if self.to_client:
            parties.requests[victim] = self.change(parties, parties.requests[victim])
        messages = parties.answers()
        if not self.to_client:
            messages[victim] = self.change(parties, messages[victim])
        parties.deliver(messages)
        parties.advance(Stage.DONE)


def all_cases() -> dict[str, Case]:
    """Return every case by a name that says what is bent, where."""
    found = {}
    for to_client, table in ((True, TO_CLIENT), (False, FROM_CLIENT)):
        for stage, special in table.items():
            for name, (change, error) in (GENERIC | special).items():
                where = f"request of {stage.name}" if to_client else f"message of {stage.name}"
                found[f"{where}: {name}"] = Case(stage, to_client, change, error)
    return found


CASES = all_cases()
