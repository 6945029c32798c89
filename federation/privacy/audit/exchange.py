"""Secure aggregation in one process, every byte kept: the product's own clients and server, and an auditor between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.key_source import KeySource
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.masks import from_ring, to_ring
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.session import Session, SessionConfig
from federation.secure_aggregation.stages import Stage

BROADCAST = b"what everybody was given"
STAGES = (Stage.ADVERTISE, Stage.SHARE_KEYS, Stage.MASK_INPUT, Stage.CONFIRM, Stage.UNMASK)


@dataclass
class Exchange:
    """One round on the wire."""

    messages: dict[str, dict[str, bytes]]
    """What each client sent, by name of the stage."""
    total: np.ndarray
    """The unmasked sum, int64, shape (D,)."""


class Parties:
    """The clients of a session, enrolled under keys of the auditor's.

    Args:
        names: The roster.
        config: Numbers of the session.
        keys: Source of the identity keys and of all secrets.
        client_type: The product's client, or a faulty one.
    """

    def __init__(
        self, names: Sequence[str], config: SessionConfig, keys: KeySource, client_type: type[SecureClient]
    ) -> None:
        self.names, self.keys, self.client_type = tuple(names), keys, client_type
        self.identities = {name: self._identity(name) for name in names}
        authority = self._identity("authority")
        publics = {name: identity.public_key() for name, identity in self.identities.items()}
        nonce = keys.stream("auditor", 0, 0, "nonce").bytes(32)
        self.session = Session.sign(Roster.sign(publics, authority), config, nonce, authority)
        self.clients = {name: self.enrol(name) for name in names}

    def enrol(self, name: str, keys: KeySource | None = None) -> SecureClient:
        """Return a device of this client with a memory of its own."""
        return self.client_type(name, self.identities[name], self.session, keys or self.keys, InMemory())

    def run(self, round: int, integers: Mapping[str, np.ndarray], drops: Mapping[str, Stage]) -> Exchange:
        """Run one round.

        Args:
            round: Its number; later than all before.
            integers: Everybody's vector on the grid, int64, shape (D,).
            drops: Before which stage a client falls silent.

        Raises:
            ProtocolError: If the round is refused.
        """
        server = SecureServer(self.session, round, 0, BROADCAST, self.names)
        messages: dict[str, dict[str, bytes]] = {name: {} for name in self.names}
        requests = dict.fromkeys(self.names, b"")
        for stage in STAGES:
            for name, request in requests.items():
                if drops.get(name, Stage.DONE) > stage:
                    messages[name][stage.name] = self.ask(name, stage, round, request, integers[name])
                    server.receive(name, messages[name][stage.name])
            requests = server.close_stage()
        return Exchange(messages, from_ring(server.result()))

    def ask(self, name: str, stage: Stage, round: int, request: bytes, integers: np.ndarray) -> bytes:
        """Return what a client answers to a request."""
        client = self.clients[name]
        match stage:
            case Stage.ADVERTISE:
                return client.advertise(round, 0, BROADCAST)
            case Stage.SHARE_KEYS:
                return client.share_keys(request)
            case Stage.MASK_INPUT:
                return client.mask_input(request, to_ring(integers))
            case Stage.CONFIRM:
                return client.confirm(request)
            case _:
                return client.unmask(request)

    def _identity(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.keys.stream(name, 0, 0, "identity").bytes(32))
