"""Why a round is given up. No text here, and none raised with it, ever holds a key, a share, a mask or a vector."""

from __future__ import annotations


class ProtocolError(ValueError):
    """A message, set or request that an honest party would not have sent; whoever receives it says nothing more."""


class MalformedMessageError(ProtocolError):
    """Wrong type, length, order or range: the bytes are no message of this stage."""


class ContextMismatchError(ProtocolError):
    """The message belongs to another session, round or attempt, or its sender was given another broadcast."""


class InvalidSignatureError(ProtocolError):
    """The signature does not belong to the client of the roster, or not to these bytes."""


class InvalidPublicKeyError(ProtocolError):
    """A public key that no honest client sends; the round must not go on with its sender."""


class SealError(ProtocolError):
    """Sealed shares were changed on the way, or sealed for another client or round."""


class ShareError(ProtocolError):
    """Shares do not give back the secret that their owner committed to."""


class OrderError(ProtocolError):
    """A stage out of order, a round or attempt that is not later than the last one, or one already given up."""


class ChangedRequestError(ProtocolError):
    """A request of a stage that was already answered, but not the same: answering both could reveal a secret."""


class SurvivorSetError(ProtocolError):
    """A survivor set that contradicts what the client saw, or is too small to hide it."""


class TooFewClientsError(ProtocolError):
    """Fewer clients are left than the threshold or the noise needs."""


class SessionError(ProtocolError):
    """A roster or session that is unsigned, unsafe, or not the one the device was enrolled in."""
