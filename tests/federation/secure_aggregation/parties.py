"""Clients and a server in one process, and the ways of a message between them that tests may bend."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.key_source import KeySource, OperatingSystemKeys
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.session import Session, SessionConfig
from federation.secure_aggregation.stages import Stage

BROADCAST = b"global adapter, clip norm, head of the ledger"
AUTHORITY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
DIGEST = hashlib.sha256(b"all other settings").digest()


def identity(name: str) -> Ed25519PrivateKey:
    """Return a client's identity key, the same in every test."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"identity of {name}".encode()).digest())


def make_names(count: int) -> list[str]:
    return [f"client-{number:04d}" for number in range(count)]


def make_roster(names: Iterable[str], edition: int = 0) -> Roster:
    return Roster.sign({name: identity(name).public_key() for name in names}, AUTHORITY, edition)


def make_session(config: SessionConfig, names: Iterable[str] | None = None, nonce: bytes = bytes(32)) -> Session:
    return Session.sign(make_roster(names or make_names(config.clients)), config, nonce, AUTHORITY)


def plan(clients: int = 5, colluders: int = 1, honest: int = 3, dimension: int = 8, adversary: str = "active"):
    return SessionConfig.plan(dimension, clients, colluders, honest, adversary, DIGEST)


@dataclass
class Parties:
    """A session's clients and server; `exchange` runs one stage, `run` all of them."""

    session: Session
    keys: KeySource = field(default_factory=OperatingSystemKeys)
    round: int = 0
    attempt: int = 0
    broadcast: bytes = BROADCAST
    rounds: int = 1

    def __post_init__(self) -> None:
        self.names = list(self.session.roster.clients)
        self.clients = {
            name: SecureClient(name, identity(name), self.session, self.keys, InMemory()) for name in self.names
        }
        rng = np.random.default_rng(0)
        self.vectors = {name: rng.integers(0, 2**32, self.session.config.dimension, np.uint32) for name in self.names}
        self.open()

    def open(self) -> None:
        """Begin an attempt on the server's side, and with it an epoch."""
        position = (self.round, self.attempt)
        self.server = SecureServer(self.session, *position, self.broadcast, self.names, self.rounds)
        self.requests: dict[str, bytes] = dict.fromkeys(self.names, b"")
        self.later = False

    def enter(self, round: int, attempt: int = 0) -> None:
        """Go on to a later round of the epoch."""
        self.round, self.attempt, self.later = round, attempt, True
        self.requests = self.server.enter(round, attempt, self.broadcast)

    def ask(self, name: str, stage: Stage, request: bytes) -> bytes:
        """Return what a client answers to a request."""
        client = self.clients[name]
        match stage:
            case Stage.ADVERTISE:
                return client.advertise(self.round, self.attempt, self.broadcast, self.rounds)
            case Stage.SHARE_KEYS:
                return client.share_keys(request)
            case Stage.MASK_INPUT:
                if self.later:
                    client.enter(self.round, self.attempt, self.broadcast)
                return client.mask_input(request, self.vectors[name])
            case Stage.CONFIRM:
                return client.confirm(request)
            case _:
                return client.unmask(request)

    def answers(self, silent: Iterable[str] = ()) -> dict[str, bytes]:
        """Return what all who were asked answer at the server's stage."""
        stage = self.server.stage
        return {name: self.ask(name, stage, request) for name, request in self.requests.items() if name not in silent}

    def deliver(self, messages: Mapping[str, bytes]) -> None:
        """Give messages to the server and close the stage."""
        for name, message in messages.items():
            self.server.receive(name, message)
        self.requests = self.server.close_stage()

    def exchange(self, silent: Iterable[str] = ()) -> None:
        """Run one stage; silent clients drop out."""
        self.deliver(self.answers(silent))

    def advance(self, stage: Stage) -> None:
        """Run all stages before one."""
        while self.server.stage is not stage:
            self.exchange()

    def run(self, drops: Mapping[str, Stage] | None = None) -> np.ndarray:
        """Run a round in which clients drop out before the stage they are given, and return the sum."""
        drops = drops or {}
        while (stage := self.server.stage) is not Stage.DONE:
            self.exchange(silent={name for name, first in drops.items() if first <= stage})
        return self.server.result()

    def plain_sum(self, names: Iterable[str] | None = None) -> np.ndarray:
        """Return what the sum must be."""
        return np.sum([self.vectors[name] for name in names or self.names], axis=0, dtype=np.uint32)
