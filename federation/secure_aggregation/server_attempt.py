"""What the server collects and computes in one attempt at a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from federation.secure_aggregation.errors import TooFewClientsError
from federation.secure_aggregation.graph import Graph
from federation.secure_aggregation.keys import demand_distinct, demand_sound
from federation.secure_aggregation.messages import Advertise, Confirm, MaskedInput, ShareKeys, Unmask
from federation.secure_aggregation.recovery import SecretRecovery
from federation.secure_aggregation.requests import Confirmations, KeyList, SealedShares, SurvivorSets
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.signing import verify_advertised, verify_sets
from federation.secure_aggregation.unmasking import Unmasking


class ServerAttempt:
    """The server's half of the protocol without order, repetition and exclusion, which `SecureServer` sees to.

    `read_*` takes one client's message and raises ProtocolError, changing nothing, if it is wrong; `open_*` closes the
    stage that was read and returns the requests of the next one by client.

    Args:
        session: Agreed before the first round.
        context: What the clients' keys and shares are bound to.
    """

    def __init__(self, session: Session, context: bytes) -> None:
        self.roster, self.config = session.roster, session.config
        self.setup = self.context = context
        """What the first two messages carry, and what the others do; these differ in later rounds of an epoch."""
        self.total = np.zeros(self.config.dimension, np.uint32)
        self.survivors: set[int] = set()
        self._advertised: dict[int, Advertise] = {}
        self._sealed: dict[int, Mapping[int, bytes]] = {}
        self._signatures: dict[int, bytes] = {}
        self._answers: dict[int, Mapping[int, int]] = {}

    def read_advertised(self, client: int, message: bytes) -> None:
        """Take a client's keys; whoever repeats a key of another or sends an unsound one is refused, not the others."""
        entry = Advertise.decode(message, client, self.setup)
        verify_advertised(entry, self.roster, self.setup)
        known = [key for other in self._advertised.values() for key in (other.channel_key, other.mask_key)]
        demand_distinct([*known, entry.channel_key, entry.mask_key])
        for key in (entry.channel_key, entry.mask_key):
            demand_sound(key)
        self._advertised[client] = entry

    def open_share_keys(self, senders: Sequence[int]) -> dict[int, bytes]:
        """Fix U1, and send the list of its keys to everybody."""
        self._demand_enough(senders, self.config.least_clients)
        self._key_list = KeyList({client: self._advertised[client] for client in sorted(senders)})
        self._graph = Graph(sorted(senders), self.config.neighbours, self._key_list.digest())
        return {client: self._key_list.encode(client, self.setup) for client in senders}

    def read_shares(self, client: int, message: bytes) -> None:
        """Take the shares that a client sealed for its neighbours."""
        neighbours = self._graph.neighbours(client)
        self._sealed[client] = ShareKeys.decode(message, client, self.setup, neighbours).sealed

    def close_setup(self, senders: Sequence[int]) -> None:
        """Fix U2."""
        self._demand_enough(senders, self.config.least_clients)
        self._sharing = frozenset(senders)

    def open_mask_input(self) -> dict[int, bytes]:
        """Send everybody in U2 the shares sealed for it."""
        requests = {}
        for client in sorted(self._sharing):
            near = [other for other in self._graph.neighbours(client) if other in self._sharing]
            shares = SealedShares({other: self._sealed[other][client] for other in near})
            requests[client] = shares.encode(client, self.context)
        return requests

    def read_masked(self, client: int, message: bytes) -> None:
        """Add a client's masked vector to the sum."""
        vector = MaskedInput.decode(message, client, self.context, self.config.dimension).vector
        np.add(self.total, vector, out=self.total)
        self.survivors.add(client)

    def open_confirm(self) -> dict[int, bytes]:
        """Fix U3, and tell everybody in it."""
        self._demand_enough(self.survivors, self.config.least_clients)
        self._sets = SurvivorSets(self._sharing, frozenset(self.survivors))
        self._transcript = self._sets.transcript(self.context, self._key_list)
        members = self._graph.members
        return {client: self._sets.encode(client, self.context, members) for client in sorted(self.survivors)}

    def read_confirmed(self, client: int, message: bytes) -> None:
        """Take a client's signature over the sets; one over other sets is refused."""
        signature = Confirm.decode(message, client, self.context).signature
        verify_sets(signature, self._transcript, self.roster, client)
        self._signatures[client] = signature

    def open_unmask(self, senders: Sequence[int]) -> dict[int, bytes]:
        """Send everybody the signatures of its neighbours."""
        self._demand_enough(senders, self.config.threshold)
        requests = {}
        for client in senders:
            near = [other for other in self._graph.neighbours(client) if other in self._signatures]
            signatures = Confirmations({other: self._signatures[other] for other in near})
            requests[client] = signatures.encode(client, self.context)
        return requests

    def read_answers(self, client: int, message: bytes) -> None:
        """Take the shares that a client holds for others."""
        owners = [other for other in self._graph.holders(client) if other in self._sharing]
        self._answers[client] = Unmask.decode(message, client, self.context, owners).shares

    def finish(self, senders: Sequence[int]) -> frozenset[int]:
        """Take the masks out of the sum and return the clients whose shares did not fit."""
        self._demand_enough(senders, self.config.threshold)
        shares: dict[int, dict[int, int]] = {owner: {} for owner in self._sharing}
        for holder in senders:
            for owner, share in self._answers[holder].items():
                shares[owner][holder] = share
        recovery = SecretRecovery(self.config.threshold)
        names, advertised = self.roster.clients, self._advertised
        unmasking = Unmasking(names, self.setup, self.context, self._graph, advertised, self._sets)
        unmasking.apply(self.total, shares, recovery)
        return frozenset(recovery.culprits)

    def _demand_enough(self, clients: Sequence[int] | set[int], least: int) -> None:
        if len(clients) < least:
            raise TooFewClientsError(
                f"At least {least} clients must be left. Got {len(clients)}. Try again with a later attempt."
            )
