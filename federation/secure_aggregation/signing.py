"""What clients sign with their identity keys: the keys they advertise, and the sets of clients they saw."""

from __future__ import annotations

from dataclasses import replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.secure_aggregation.errors import InvalidSignatureError
from federation.secure_aggregation.framing import join
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.roster import Roster

ADVERTISED = b"PrivFedTalk advertised keys v1"
SETS = b"PrivFedTalk survivor sets v1"


def sign_advertised(entry: Advertise, identity: Ed25519PrivateKey, context: bytes) -> Advertise:
    """Return the advertisement with its owner's signature."""
    return replace(entry, signature=identity.sign(join(ADVERTISED, entry.signed_part(context))))


def verify_advertised(entry: Advertise, roster: Roster, context: bytes) -> None:
    """Raise InvalidSignatureError unless the client signed these keys for this attempt."""
    _verify(entry.signature, join(ADVERTISED, entry.signed_part(context)), roster, entry.client)


def sign_sets(transcript: bytes, identity: Ed25519PrivateKey) -> bytes:
    """Return a client's signature over the sets it saw, 64 bytes."""
    return identity.sign(join(SETS, transcript))


def verify_sets(signature: bytes, transcript: bytes, roster: Roster, client: int) -> None:
    """Raise InvalidSignatureError unless the client saw the same sets."""
    _verify(signature, join(SETS, transcript), roster, client)


def _verify(signature: bytes, signed: bytes, roster: Roster, client: int) -> None:
    try:
        roster.verifier(client).verify(signature, signed)
    except InvalidSignature:
        raise InvalidSignatureError(
            f"A signature of {roster.clients[client]} does not fit what this party saw. The round is given up."
        ) from None
