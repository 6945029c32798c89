"""Known answers of one round: three clients with seeded keys, of whom the third falls silent before its vector.

`python -m tests.federation.secure_aggregation.vectors` prints what `docs/secure_aggregation.md` publishes.
"""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np

from federation.key_source import SeededKeys
from federation.secure_aggregation.masks import self_key
from federation.secure_aggregation.session import SessionConfig, later_context
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.parties import AUTHORITY, Parties, identity, make_session

NAMES = ("ann", "bob", "cyn")
VECTORS = {"ann": [1, 2, 3, 4], "bob": [2**32 - 1, 0, 5, 7], "cyn": [10, 20, 30, 40]}
SILENT = "cyn"
ROUND, ATTEMPT, BROADCAST = 7, 1, b"broadcast"


def run_round() -> tuple[Parties, dict[str, dict[str, object]]]:
    """Run the round; return the parties and, by client, secrets and messages in hexadecimal."""
    digest = hashlib.sha256(b"all other settings").digest()
    config = SessionConfig.plan(4, clients=3, colluders=0, honest=2, adversary="active", digest=digest)
    parties = Parties(make_session(config, NAMES, nonce=bytes(32)), SeededKeys(0), ROUND, ATTEMPT, BROADCAST)
    parties.vectors = {name: np.array(vector, np.uint32) for name, vector in VECTORS.items()}
    seen: dict[str, dict[str, object]] = {name: {"vector": VECTORS[name]} for name in NAMES}
    for stage in list(Stage)[:-1]:
        silent = {SILENT} if stage >= Stage.MASK_INPUT else set()
        requests, messages = parties.requests, parties.answers(silent)
        for name, message in messages.items():
            if stage is Stage.ADVERTISE:
                seen[name] |= secrets_of(parties, name)
            if stage is Stage.SHARE_KEYS:
                seen[name] |= shares_of(parties, name)
            if requests[name]:
                seen[name][f"request {stage.name}"] = requests[name].hex()
            seen[name][f"message {stage.name}"] = message.hex()
        parties.deliver(messages)
    return parties, seen


def secrets_of(parties: Parties, name: str) -> dict[str, object]:
    attempt = parties.clients[name]._attempt
    return {
        "identity private key": identity(name).private_bytes_raw().hex(),
        "channel private key": attempt._channel.private.private_bytes_raw().hex(),
        "mask private key": attempt._mask.private.private_bytes_raw().hex(),
        "self mask secret": attempt._secret.hex(),
        "self mask AES key": self_key(attempt._secret, name, attempt.context).hex(),
    }


def shares_of(parties: Parties, name: str) -> dict[str, object]:
    """Return the client's own two shares, at x = index + 1, and its keys with each neighbour."""
    attempt = parties.clients[name]._attempt
    mask_share, key_share = attempt._held[attempt.index]
    links = {NAMES[other]: link for other, link in attempt._links.items()}
    return {
        "own share of the self mask secret": f"{mask_share:066x}",
        "own share of the mask private key": f"{key_share:066x}",
        "pairwise mask AES keys": {other: link.mask(attempt.context).hex() for other, link in links.items()},
        "channel keys, outgoing": {other: link.outgoing.hex() for other, link in links.items()},
    }


def known_answers() -> dict[str, object]:
    """Return everything an implementation can compare itself with."""
    parties, seen = run_round()
    session = parties.session
    return {
        "offline private key": AUTHORITY.private_bytes_raw().hex(),
        "roster": session.roster.to_bytes().hex(),
        "roster signature": session.roster.signature.hex(),
        "configuration": session.config.to_bytes().hex(),
        "session id": session.id.hex(),
        "session signature": session.signature.hex(),
        "round": ROUND,
        "attempt": ATTEMPT,
        "broadcast": BROADCAST.hex(),
        "context": (context := session.context(ROUND, ATTEMPT, BROADCAST)).hex(),
        "context of the keys of round 8": (later := later_context(context, ROUND + 1)).hex(),
        "context of attempt 0 at round 8": session.context(ROUND + 1, 0, BROADCAST, later).hex(),
        "clients": {name: seen[name] if name == "ann" else shorten(seen[name]) for name in NAMES},
        "sum": parties.server.result().tolist(),
    }


def shorten(values: dict[str, object]) -> dict[str, object]:
    """Return a client's values with the SHA-256 of its requests and messages instead of their bytes."""
    return {
        f"SHA-256 of {key}" if key.startswith(("request", "message")) else key: (
            hashlib.sha256(bytes.fromhex(str(value))).hexdigest() if key.startswith(("request", "message")) else value
        )
        for key, value in values.items()
    }


def written() -> str:
    """Return the known answers as JSON, lists of numbers on one line."""
    return re.sub(
        r"\[[\s\d,]+\]", lambda found: re.sub(r"\s+", " ", found.group()), json.dumps(known_answers(), indent=1)
    )


if __name__ == "__main__":
    print(written())
