"""The settings that a session was signed for: server and devices refuse to work under any others."""

from __future__ import annotations

from federation.agreed_settings import AgreedSettings
from federation.fingerprint import fingerprint_frozen
from federation.privacy.cohort_counts import CohortCounts
from federation.protocols import FederatedModule
from federation.secure_aggregation.framing import digest
from federation.secure_aggregation.session import Session, SessionConfig
from federation.vectors import vector_length

SETTINGS = b"PrivFedTalk settings of a deployment v1"


def plan_session(module: FederatedModule, seed: int, agreed: AgreedSettings, clients: int) -> SessionConfig:
    """Return what is to be signed for this many clients; raises ValueError as `provision_session` does."""
    cohort = provision_session(agreed, clients)
    return SessionConfig.plan(
        vector_length(module.shared_parameters()) + 1 + agreed.clipping.adaptive,
        cohort.clients,
        cohort.colluders,
        cohort.honest,
        agreed.security.adversary,
        digest_settings(module, seed, agreed),
    )


def provision_session(agreed: AgreedSettings, clients: int) -> CohortCounts:
    """Return whose noise is counted on.

    Raises:
        ValueError: On shares that leave nobody, or visible sampling: devices keep their coins secret.
    """
    if agreed.federation.sampling == "visible":
        raise ValueError(
            "`--federation.sampling` must be `hidden` or `all` where people's own devices train: visible would show "
            "who takes part. Have a session signed for other settings."
        )
    return agreed.security.provision(clients)


def demand_provision(session: Session, agreed: AgreedSettings) -> None:
    """Raise ValueError unless a session counts on the clients for whom the settings make noise.

    Noise is made for the settings' colluders and dropouts, and charged for the session's.
    """
    cohort, signed = provision_session(agreed, len(session.roster.clients)), session.config
    counted = (signed.clients, signed.colluders, signed.honest, signed.adversary)
    expected = (cohort.clients, cohort.colluders, cohort.honest, agreed.security.adversary)
    if counted != expected:
        raise ValueError(
            f"The session must count on clients, colluders, honest ones and a server as the settings do, {expected}. "
            f"Got {counted}. Have a new session signed."
        )


def demand_signed(session: Session, module: FederatedModule, seed: int, agreed: AgreedSettings) -> None:
    """Raise ValueError unless a session was signed for these settings, this seed and this frozen model."""
    signed, found = session.config.digest, digest_settings(module, seed, agreed)
    if signed != found:
        raise ValueError(
            f"The settings must be those of the signed session, {signed.hex()[:16]}. Got {found.hex()[:16]}. Use the "
            "config and the base model it was signed for, or have a new session signed."
        )
    demand_provision(session, agreed)


def digest_settings(module: FederatedModule, seed: int, agreed: AgreedSettings) -> bytes:
    """Return the SHA-256 of all that must be the same on server and devices: settings, seed, and the frozen model."""
    frozen = fingerprint_frozen(module).encode()
    size = str(vector_length(module.shared_parameters())).encode()
    return digest(SETTINGS, agreed.digest(), str(seed).encode(), frozen, size)
