"""A server that lies: can it open one client's vector with the shares that clients give for another purpose?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from federation.privacy.audit.exchange import BROADCAST, Parties
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.framing import HEADER
from federation.secure_aggregation.graph import Graph
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import add_keystreams, pairwise_key, self_key
from federation.secure_aggregation.messages import Advertise, Confirm, ShareKeys, Unmask
from federation.secure_aggregation.recovery import SecretRecovery
from federation.secure_aggregation.requests import Confirmations, KeyList, SealedShares, SurvivorSets

ATTACK_DIMENSION = 64


class LyingServer:
    """One attempt at a round, up to the masked vectors by the rules; then each client can be shown other survivors.

    Args:
        parties: Clients, all of which are asked and answer. Colluders have a second device with the same keys, to
            answer for a second set of survivors.
        round: Later than all before.
        vectors: uint32, shape (D,), by client.
        colluders: Names.
    """

    def __init__(self, parties: Parties, round: int, vectors: Mapping[str, np.ndarray], colluders: Sequence[str]):
        session = parties.session
        self.roster, self.config = session.roster, session.config
        self.context = session.context(round, 0, BROADCAST)
        twins = {name: parties.enrol(name) for name in colluders}
        self.devices = (parties.clients, parties.clients | twins)
        self.members = frozenset(range(len(self.roster.clients)))
        devices = [(self.roster.index(name), device) for name, device in (*parties.clients.items(), *twins.items())]
        said = {index: device.advertise(round, 0, BROADCAST) for index, device in devices}
        self.key_list = KeyList({index: Advertise.decode(said[index], index, self.context) for index in sorted(said)})
        self.graph = Graph(sorted(self.members), self.config.neighbours, self.key_list.digest())
        sealed = {index: self._ask_for_shares(index, device) for index, device in devices}
        self.sent = {index: self._ask_for_vector(index, device, sealed, vectors) for index, device in devices}

    def _ask_for_shares(self, index: int, device: SecureClient) -> Mapping[int, bytes]:
        message = device.share_keys(self.key_list.encode(index, self.context))
        return ShareKeys.decode(message, index, self.context, self.graph.neighbours(index)).sealed

    def _ask_for_vector(
        self,
        index: int,
        device: SecureClient,
        sealed: Mapping[int, Mapping[int, bytes]],
        vectors: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        shares = SealedShares({other: sealed[other][index] for other in self.graph.neighbours(index)})
        message = device.mask_input(shares.encode(index, self.context), vectors[device.name])
        return np.frombuffer(message, np.uint32, offset=HEADER.size)

    def collect(self, survivors: frozenset[int], told: Sequence[int], view: int) -> dict[int, dict[int, int]]:
        """Show survivors to some clients and return the shares they give, by owner and holder.

        Args:
            survivors: U3, as these clients are to believe.
            told: Who is shown it; the others are left out of this.
            view: 0 or 1: which of their two devices colluders answer with.
        """
        sets = SurvivorSets(self.members, survivors)
        devices = {index: self.devices[view][self.roster.clients[index]] for index in told}
        signatures: dict[int, bytes] = {}
        for index, device in devices.items():
            with suppress(ProtocolError):
                message = device.confirm(sets.encode(index, self.context, self.graph.members))
                signatures[index] = Confirm.decode(message, index, self.context).signature
        shares: dict[int, dict[int, int]] = {}
        for index in signatures:
            near = {other: signatures[other] for other in self.graph.neighbours(index) if other in signatures}
            with suppress(ProtocolError):
                message = devices[index].unmask(Confirmations(near).encode(index, self.context))
                answered = Unmask.decode(message, index, self.context, self.graph.holders(index)).shares
                for owner, share in answered.items():
                    shares.setdefault(owner, {})[index] = share
        return shares

    def open(self, victim: int, mask_shares: Mapping[int, int], key_shares: Mapping[int, int]) -> np.ndarray | None:
        """Return the victim's vector, if these shares of its two secrets open it; else None."""
        recovery = SecretRecovery(self.config.threshold)
        try:
            secret = recovery.recover(victim, mask_shares, lambda found: True)
            own = KeyPair.from_private(recovery.recover(victim, key_shares, lambda found: True))
        except ProtocolError:
            return None
        names = self.roster.clients
        advertised = self.key_list.advertised
        vector = self.sent[victim].copy()
        masks = {
            other: pairwise_key(own, advertised[other].mask_key, names[victim], names[other], self.context)
            for other in self.graph.neighbours(victim)
        }
        added = [key for other, key in masks.items() if other < victim]
        subtracted = [key for other, key in masks.items() if other > victim]
        add_keystreams(vector, added, [*subtracted, self_key(secret, names[victim], self.context)])
        return vector


def check_split_view(system: System) -> Verdict:
    """Tell half of the clients that the victim survived, the others that it did not; colluders give both shares.

    On a ring the halves are the two arcs beside the victim.
    """
    small = system.under(dimension=min(ATTACK_DIMENSION, system.terms.dimension))
    vectors = _secrets(small, "split view")
    server = LyingServer(small.parties, 0, vectors, small.terms.colluders)
    helpers = [server.roster.index(name) for name in small.terms.colluders]
    victim = max(server.members)
    around = [index for index in _walk(server.graph, victim) if index not in helpers]
    half = (len(around) + 1) // 2
    masks = server.collect(server.members, [*helpers, *around[:half]], view=0)
    keys = server.collect(server.members - {victim}, [*helpers, *around[half:]], view=1)
    found = server.open(victim, masks.get(victim, {}), keys.get(victim, {}))
    return _verdict("two sets of survivors open no vector", found, vectors[server.roster.clients[victim]])


def check_key_reuse(system: System) -> Verdict:
    """Run a round by the rules, say in the next that the victim dropped out, and open its first vector with that."""
    small = system.under(dimension=min(ATTACK_DIMENSION, system.terms.dimension))
    vectors = _secrets(small, "key reuse")
    first = LyingServer(small.parties, 0, vectors, ())
    everybody, victim = sorted(first.members), max(first.members)
    masks = first.collect(first.members, everybody, view=0)
    second = LyingServer(small.parties, 1, vectors, ())
    keys = second.collect(second.members - {victim}, everybody[:-1], view=0)
    found = first.open(victim, masks.get(victim, {}), keys.get(victim, {}))
    return _verdict("a dropout in one round opens no other", found, vectors[first.roster.clients[victim]])


def _secrets(system: System, label: str) -> dict[str, np.ndarray]:
    """Return a random vector for each client, uint32."""
    stream = system.keys.stream("auditor", 0, 0, label)
    return {name: stream.uint32(system.terms.dimension) for name in system.terms.names}


def _walk(graph: Graph, start: int) -> list[int]:
    """Return all clients in the order of the ring, from one on: each next shares the most holders with the last."""
    walked, left = [start], set(graph.members) - {start}
    while left:
        near = set(graph.holders(walked[-1]))
        walked.append(max(sorted(left), key=lambda other: len(near & set(graph.holders(other)))))
        left.remove(walked[-1])
    return walked


def _verdict(check: str, found: np.ndarray | None, secret: np.ndarray) -> Verdict:
    share = 0.0 if found is None else float(np.mean(found == secret))
    detail = "too few shares" if found is None else f"{secret.size} coordinates"
    return at_most(check, share, 0.01, f"share of the victim's coordinates recovered; {detail}")
