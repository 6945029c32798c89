"""Identifies a node's client by the signature of its first message, never by the transport."""

from __future__ import annotations

from federation.secure_aggregation.errors import MalformedMessageError
from federation.secure_aggregation.framing import HEADER
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.signing import verify_advertised


def recognise(message: bytes, roster: Roster, context: bytes) -> str:
    """Return the client that signed a first message for this attempt.

    A node that the transport admits may still be nobody's whom the offline key has enrolled. The context is fresh in
    every attempt, so a copied message of an earlier one proves nothing.

    Raises:
        ProtocolError: If nobody of the roster signed it.
    """
    if not isinstance(message, bytes) or len(message) < HEADER.size:
        raise MalformedMessageError("A first message is `bytes` with a header. This one is none.")
    index = HEADER.unpack_from(message)[1]
    if index >= len(roster.clients):
        raise MalformedMessageError(
            f"Its number is not in the roster of {len(roster.clients)} clients. Enrol it first."
        )
    verify_advertised(Advertise.decode(message, index, context), roster, context)
    return roster.clients[index]
