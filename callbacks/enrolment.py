"""A simulation's roster: who stands in for each client in this attempt, signed by a key that all devices pinned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federation.key_source import KeySource
from federation.secure_aggregation.framing import SIGNATURE_BYTES
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.session import Session, SessionConfig
from federation.update import RoundState

AUTHORITY, SIGNATURES = "authority", "signatures"


@dataclass(frozen=True)
class Enrolment:
    """Enrols the cohort anew for every attempt, since any device of a simulation may be handed any client.

    In a deployment the roster is fixed before the first round and the key that signs it stays offline. Here rank 0
    holds that key, so the roster protects from mistakes, not from rank 0.
    """

    keys: KeySource
    """Source of the identity keys, of the signing key and of each session's nonce."""
    pinned: Ed25519PublicKey
    """The public half of the key that signs rosters and sessions; every device holds the same for the whole run."""
    authority: Ed25519PrivateKey | None
    """The signing key, on rank 0."""

    @classmethod
    def pin(cls, keys: KeySource, state: RoundState) -> Enrolment:
        """Make the signing key on rank 0 and its public half known to every device, once in a run."""
        authority = _draw_key(keys, "", state, AUTHORITY) if state.is_main else None
        own = {AUTHORITY: authority.public_key().public_bytes_raw()} if authority else {}
        return cls(keys, Ed25519PublicKey.from_public_bytes(state.exchange(own)[AUTHORITY]), authority)

    def open_session(
        self, state: RoundState, clients: Iterable[str], config: SessionConfig
    ) -> tuple[Session, dict[str, Ed25519PrivateKey]]:
        """Return the session of this attempt and the identity keys of the clients this device plays.

        Raises:
            ValueError: If not exactly the cohort enrols.
            InvalidSignatureError: If roster and session are not signed by the pinned key.
        """
        identities = {client: _draw_key(self.keys, client, state, "identity") for client in clients}
        sent = state.exchange({client: key.public_key().public_bytes_raw() for client, key in identities.items()})
        if set(sent) != set(state.clients):
            raise ValueError(f"Every client of the cohort must enrol, and nobody else. Got {', '.join(sorted(sent))}.")
        publics = {client: Ed25519PublicKey.from_public_bytes(key) for client, key in sent.items()}
        session = self._sign(state, publics, config)
        session.verify(self.pinned)
        return session, identities

    def _sign(self, state: RoundState, publics: dict[str, Ed25519PublicKey], config: SessionConfig) -> Session:
        """Return the session that rank 0 signs; the others add its signatures to what they know themselves."""
        signed = {}
        if self.authority:
            nonce = self.keys.stream("", state.index, state.attempt, "session").bytes(32)
            session = Session.sign(Roster.sign(publics, self.authority), config, nonce, self.authority)
            signed = {SIGNATURES: session.roster.signature + session.signature + nonce}
        sent = state.exchange(signed)[SIGNATURES]
        clients = tuple(sorted(publics))
        raw = tuple(publics[client].public_bytes_raw() for client in clients)
        roster = Roster(clients, raw, 0, sent[:SIGNATURE_BYTES])
        return Session(roster, config, sent[2 * SIGNATURE_BYTES :], sent[SIGNATURE_BYTES : 2 * SIGNATURE_BYTES])


def _draw_key(keys: KeySource, client: str, state: RoundState, purpose: str) -> Ed25519PrivateKey:
    seed = keys.stream(client, state.index, state.attempt, purpose).bytes(32)
    return Ed25519PrivateKey.from_private_bytes(seed)
