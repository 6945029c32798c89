"""Epochs of several rounds, all that a server sees of them, and the ways in which they can be made wrongly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from copy import copy

import numpy as np

from federation.key_source import KeySource, OperatingSystemKeys, SeededKeys
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import add_keystreams, commit, pairwise_key, self_key
from federation.secure_aggregation.messages import MaskedInput
from federation.secure_aggregation.recovery import SecretRecovery
from federation.secure_aggregation.server_attempt import ServerAttempt
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import Parties, make_session, plan

ROUNDS = 3
STEADY = (Stage.MASK_INPUT, Stage.CONFIRM, Stage.UNMASK)


def make_epoch(keys: KeySource | None = None, clients: int = 5, colluders: int = 0, honest: int = 3) -> Parties:
    return Parties(make_session(plan(clients, colluders, honest)), keys or OperatingSystemKeys(), rounds=ROUNDS)


def refuses(act: Callable[..., object], *args: object) -> bool:
    """Whether a party refuses."""
    try:
        act(*args)
    except ProtocolError:
        return True
    return False


class SameInAllRounds(KeySource):
    """The fault: for one purpose a client has the same secret in all rounds of an epoch; all others are fresh."""

    def __init__(self, purpose: str) -> None:
        self.purpose, self.fresh, self.fixed = purpose, OperatingSystemKeys(), SeededKeys(0)

    def stream(self, client, round, attempt, purpose):
        kind = purpose.split(" of round ")[0]
        return (self.fixed if kind == self.purpose else self.fresh).stream(client, 0, 0, kind)


def enter_and_keep(self, round: int, context: bytes) -> None:
    """The fault, in the place of `ClientEpoch.enter`: a round's secrets stay and can serve again."""
    self.current = copy(self._later[round])
    self.current.context = self.entered = context


def enter_again(self, round: int, attempt: int, broadcast: bytes) -> dict[int, bytes]:
    """What a server that lies does in the place of `ServerEpoch.enter`: it uses a round's keys as often as it likes."""
    own = self.current = copy(self._later[round])
    own.total, own.survivors, own._signatures, own._answers = np.zeros_like(own.total), set(), {}, {}
    own.context = self.session.context(round, attempt, broadcast, own.setup)
    return own.open_mask_input()


class Seen:
    """What a server has of one round: the masked vectors it was sent, late ones, too, and the shares it was given.

    Args:
        parties: At the beginning of the round.
        late: Clients that mask, and are taken for dropouts.
        silent: Clients that do not answer.
    """

    def __init__(self, parties: Parties, late: Collection[str] = (), silent: Collection[str] = ()) -> None:
        self.names, self.threshold = parties.names, parties.session.config.threshold
        if parties.server.stage < Stage.MASK_INPUT:
            parties.advance(Stage.MASK_INPUT)
        self.own: ServerAttempt = parties.server._own
        messages = parties.answers(silent)
        self.masked = {parties.names.index(name): self._vector(name, message) for name, message in messages.items()}
        parties.deliver({name: message for name, message in messages.items() if name not in late})
        with suppress(ProtocolError):
            parties.run()

    def _vector(self, name: str, message: bytes) -> np.ndarray:
        dimension = self.own.config.dimension
        return np.array(MaskedInput.decode(message, self.names.index(name), self.own.context, dimension).vector)

    def secrets(self) -> dict[int, bytes]:
        """Return what the shares open, by owner, whatever it is."""
        recovery, found = SecretRecovery(self.threshold), {}
        for owner in self.own._sharing:
            shares = {holder: held[owner] for holder, held in self.own._answers.items()}
            found[owner] = recovery.recover(owner, shares, lambda secret: True)
        return found

    def find(self, victim: int, revealed: Mapping[int, Collection[bytes]]) -> np.ndarray | None:
        """Return the victim's vector if the secrets of all rounds together open it."""
        names, advertised = self.names, self.own._advertised
        pairs = {
            owner: pair
            for owner, secrets in revealed.items()
            for pair in map(KeyPair.from_private, secrets)
            if pair.public == advertised[owner].mask_key
        }
        own = [s for s in revealed[victim] if commit(s, names[victim], self.own.setup) == advertised[victim].commitment]
        others = self.own._sharing - {victim}
        if not own or not (victim in pairs or others <= set(pairs)):
            return None
        keys = {other: self._pair(pairs, victim, other) for other in others}
        vector, mask = self.masked[victim].copy(), self_key(own[0], names[victim], self.own.context)
        added = [key for other, key in keys.items() if other < victim]
        add_keystreams(vector, added, [mask, *(key for other, key in keys.items() if other > victim)])
        return vector

    def _pair(self, pairs: Mapping[int, KeyPair], victim: int, other: int) -> bytes:
        mine, theirs = (victim, other) if victim in pairs else (other, victim)
        public = self.own._advertised[theirs].mask_key
        return pairwise_key(pairs[mine], public, self.names[mine], self.names[theirs], self.own.context)


def open_vectors(rounds: Collection[Seen], parties: Parties) -> set[tuple[int, int]]:
    """Return (place, client) of every vector that a server finds with all that it has seen of these rounds."""
    secrets = [seen.secrets() for seen in rounds]
    revealed = {owner: [known[owner] for known in secrets if owner in known] for owner in secrets[0]}
    return {
        (place, victim)
        for place, seen in enumerate(rounds)
        for victim in seen.masked
        if np.array_equal(seen.find(victim, revealed), parties.vectors[parties.names[victim]])
    }
