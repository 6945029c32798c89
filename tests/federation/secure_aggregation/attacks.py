"""What a server that lies can do with all it is sent, with the colluders' secrets, and with the protocol's own code."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import add_keystreams, commit, pairwise_key, self_key
from federation.secure_aggregation.messages import Confirm, MaskedInput, Unmask
from federation.secure_aggregation.recovery import SecretRecovery
from federation.secure_aggregation.requests import Confirmations, SurvivorSets
from federation.secure_aggregation.server_attempt import ServerAttempt
from federation.secure_aggregation.signing import sign_sets
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import Parties, identity

Shares = dict[int, int]


class ForgetfulClient(SecureClient):
    """The fault: no order, no memory, as a device whose state is copied back from a backup."""

    def _answer(self, stage, request, work):
        return work()

    def unmask(self, request):
        return self._answer(Stage.UNMASK, request, lambda: self._attempt.unmask(request))


class LyingServer:
    """Runs a round honestly up to the survivor set, keeps every masked vector, and then tells what it likes.

    Args:
        parties: Before their round; nobody drops out.
        victim: Index of the client whose vector is wanted.
        colluders: Indices of clients that sign anything and hand over the shares they hold.
    """

    def __init__(self, parties: Parties, victim: int, colluders: Iterable[int] = ()) -> None:
        self.parties, self.victim, self.colluders = parties, victim, set(colluders)
        parties.advance(Stage.MASK_INPUT)
        self.own: ServerAttempt = parties.server._own
        messages = parties.answers()
        dimension = parties.session.config.dimension
        wire = MaskedInput.decode(messages[parties.names[victim]], victim, self.own.context, dimension).vector
        self.masked = np.array(wire)
        parties.deliver(messages)
        self.everybody = frozenset(range(len(parties.names)))

    def ask(self, clients: Iterable[int], survivors: frozenset[int]) -> Shares:
        """Show a survivor set to some clients and return the shares of the victim that they, and colluders, give."""
        sets = SurvivorSets(self.everybody, survivors)
        transcript = sets.transcript(self.own.context, self.own._key_list)
        honest = sorted(set(clients) - self.colluders)
        signatures = {client: sign_sets(transcript, identity(self.parties.names[client])) for client in self.colluders}
        for client in honest:
            request = sets.encode(client, self.own.context, self.own._graph.members)
            reply = self.parties.clients[self.parties.names[client]].confirm(request)
            signatures[client] = Confirm.decode(reply, client, self.own.context).signature
        shares = {client: self._open(client, signatures) for client in honest}
        part = 0 if self.victim in survivors else 1
        shares |= {client: self._held(client)[self.victim][part] for client in self.colluders}
        near = self.own._graph.holders(self.victim)
        return {client: share for client, share in shares.items() if client in near}

    def _open(self, client: int, signatures: dict[int, bytes]) -> int:
        near = set(self.own._graph.neighbours(client)) & set(signatures)
        request = Confirmations({other: signatures[other] for other in near}).encode(client, self.own.context)
        message = self.parties.clients[self.parties.names[client]].unmask(request)
        owners = self.own._graph.holders(client)
        return Unmask.decode(message, client, self.own.context, owners).shares.get(self.victim, 0)

    def _held(self, client: int) -> dict[int, tuple[int, int]]:
        return self.parties.clients[self.parties.names[client]]._attempt._held

    def self_mask_key(self, shares: Shares) -> bytes:
        """Return the key of the victim's own mask from enough shares."""
        name, entry = self.parties.names[self.victim], self.own._advertised[self.victim]
        secret = SecretRecovery(self.parties.session.config.threshold).recover(
            self.victim, shares, lambda found: commit(found, name, self.own.context) == entry.commitment
        )
        return self_key(secret, name, self.own.context)

    def mask_keys(self, shares: Shares) -> KeyPair:
        """Return the victim's mask keys from enough shares."""
        public = self.own._advertised[self.victim].mask_key
        recovery = SecretRecovery(self.parties.session.config.threshold)
        return KeyPair.from_private(
            recovery.recover(self.victim, shares, lambda found: KeyPair.from_private(found).public == public)
        )

    def strip(self, mask_keys: KeyPair, own_mask: bytes | None = None) -> np.ndarray:
        """Return the victim's vector without its pairwise masks and, if given, without its own."""
        found, names = self.masked.copy(), self.parties.names
        keys = {
            other: pairwise_key(
                mask_keys, self.own._advertised[other].mask_key, names[self.victim], names[other], self.own.context
            )
            for other in self.own._graph.neighbours(self.victim)
        }
        after = [key for other, key in keys.items() if other > self.victim]
        before = [key for other, key in keys.items() if other < self.victim]
        add_keystreams(found, added=before, subtracted=after if own_mask is None else [*after, own_mask])
        return found

    def split_view(self, first: Iterable[int]) -> np.ndarray:
        """Tell some clients that the victim survived and all others that it did not; return its vector."""
        return self._find(set(first), set(self.everybody) - set(first))

    def ask_twice(self) -> np.ndarray:
        """Tell everybody else first that the victim survived and then that it did not; return its vector."""
        others = set(self.everybody) - {self.victim}
        return self._find(others, others)

    def _find(self, told_survived: set[int], told_dropped: set[int]) -> np.ndarray:
        opened = self.ask(told_survived, self.everybody)
        dropped = self.ask(told_dropped, self.everybody - {self.victim})
        return self.strip(self.mask_keys(dropped), self.self_mask_key(opened))

    def arc(self) -> list[int]:
        """Return the clients on one half of the ring, from the victim on."""
        order = self.own._graph._order
        place = order.index(self.victim)
        return [order[(place + step) % len(order)] for step in range(len(order) // 2)]
