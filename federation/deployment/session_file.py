"""A signed session as a file, which the offline authority gives to the server and to every device."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.session import Session, SessionConfig
from whole_files import save_text


def write_session(path: Path, session: Session) -> None:
    """Write a session as JSON, bytes in hexadecimal; under a temporary name first."""
    roster, config = session.roster, asdict(session.config)
    content = {
        "clients": dict(zip(roster.clients, (key.hex() for key in roster.identities), strict=True)),
        "edition": roster.edition,
        "roster_signature": roster.signature.hex(),
        "config": {**config, "digest": config["digest"].hex()},
        "nonce": session.nonce.hex(),
        "signature": session.signature.hex(),
    }
    save_text(path, json.dumps(content, indent=2) + "\n")


def read_session(path: Path) -> Session:
    """Return the session of a file; its signatures are still to be verified.

    Raises:
        SessionError: If it is one that cannot be safe.
        ValueError: If it is none.
    """
    try:
        content = json.loads(path.read_text())
        clients = content["clients"]
        keys = tuple(bytes.fromhex(key) for key in clients.values())
        roster = Roster(tuple(clients), keys, content["edition"], bytes.fromhex(content["roster_signature"]))
        config = SessionConfig(**content["config"] | {"digest": bytes.fromhex(content["config"]["digest"])})
        return Session(roster, config, bytes.fromhex(content["nonce"]), bytes.fromhex(content["signature"]))
    except ProtocolError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must be a session that was signed. Got none: {error!r}.") from error
