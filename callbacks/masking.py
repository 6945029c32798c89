"""The masks, pairwise and own, so that only the sum of a cohort can be read."""

from __future__ import annotations

from typing_extensions import override

from callbacks.enrolment import Enrolment
from federation.args import SecurityArgs
from federation.deployment.broadcast import Broadcast
from federation.hooks import FederationCallback
from federation.key_source import KeySource
from federation.privacy.ledger import RELEASED_NOTE
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.masks import from_ring, to_ring
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.messages import MaskedInput
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.session import SessionConfig
from federation.update import Aggregate, ClientUpdate, RoundState


class SecureAggregation(FederationCallback):
    """Plays secure aggregation among the devices of one machine: the same clients and server as over a network.

    Every device plays the clients it has trained and, from the same messages, the server. Masked vectors are added up
    on the way instead of being sent one by one; everything else is the five messages. Nobody drops out here: a device
    that fails ends the run, and the round is tried again with a later attempt.

    Args:
        keys: Source of all secrets.
        security: What the server may do, and how many clients may betray or fail.
        settings: SHA-256 of the settings that all clients have agreed to.
    """

    def __init__(self, keys: KeySource, security: SecurityArgs, settings: bytes) -> None:
        self.keys, self.security, self.settings = keys, security, settings
        self.enrolment: Enrolment | None = None
        self.clients: dict[str, SecureClient] = {}

    @override
    def on_run_start(self, state: RoundState) -> None:
        self.enrolment = Enrolment.pin(self.keys, state)

    @override
    def on_cohort_ready(self, state: RoundState, updates: list[ClientUpdate]) -> None:
        """Agree on keys, deal their shares, and mask."""
        if not state.clients:
            return
        session, identities = self.enrolment.open_session(
            state, [update.client for update in updates], self._configure(state)
        )
        attempt = (state.index, state.attempt, broadcast(state))
        self.server = SecureServer(session, *attempt, state.clients)
        self.clients = {
            client: SecureClient(client, identity, session, self.keys, InMemory())
            for client, identity in identities.items()
        }
        requests = self._deliver(state, {name: client.advertise(*attempt) for name, client in self.clients.items()})
        requests = self._deliver(
            state, {name: client.share_keys(requests[name]) for name, client in self.clients.items()}
        )
        for update in updates:
            message = self.clients[update.client].mask_input(requests[update.client], to_ring(update.integers))
            number = session.roster.index(update.client)
            update.wire = MaskedInput.decode(message, number, session.context(*attempt), state.wire_size).vector

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        """Let the clients check who is in the sum, and take the masks off it."""
        self.server.add_up(state.clients, aggregate.wire)
        requests = self.server.close_stage()
        requests = self._deliver(state, {name: client.confirm(requests[name]) for name, client in self.clients.items()})
        self._deliver(state, {name: client.unmask(requests[name]) for name, client in self.clients.items()})
        aggregate.integers = from_ring(self.server.result())
        state.metrics["released/upload_bytes"] = float(aggregate.wire.nbytes)

    def _configure(self, state: RoundState) -> SessionConfig:
        cohort = self.security.provision(len(state.clients))
        numbers = (cohort.clients, cohort.colluders, cohort.honest)
        return SessionConfig.plan(state.wire_size, *numbers, self.security.adversary, self.settings)

    def _deliver(self, state: RoundState, messages: dict[str, bytes]) -> dict[str, bytes]:
        """Give everybody's messages to every device's server and return its requests."""
        for sender, message in state.exchange(messages).items():
            self.server.receive(sender, message)
        return self.server.close_stage()


def broadcast(state: RoundState) -> bytes:
    """Return what must be the same for all clients; the keys of masks depend on it."""
    head = state.notes.get(RELEASED_NOTE) or ""
    return Broadcast(state.clip_norm, head, state.global_adapter).encode()
