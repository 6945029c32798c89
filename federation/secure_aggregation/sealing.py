"""The channel between two clients: both shares sealed by ChaCha20-Poly1305 under a key of one direction."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.secure_aggregation.errors import SealError
from federation.secure_aggregation.framing import join
from federation.secure_aggregation.shamir import SHARE_BYTES, read_share, write_share

CHANNEL = b"PrivFedTalk share channel v1"
SEALED_BYTES = 2 * SHARE_BYTES + 16
_NONCE = bytes(12)


def channel_key(secret: bytes, context: bytes, sender: str, recipient: str) -> bytes:
    """Return the key of one direction: HKDF-SHA256 of two clients' X25519 secret, bound to attempt and both names."""
    info = join(CHANNEL, context, sender.encode(), recipient.encode())
    return HKDF(SHA256(), length=32, salt=CHANNEL, info=info).derive(secret)


def seal(key: bytes, context: bytes, sender: str, recipient: str, mask_share: int, key_share: int) -> bytes:
    """Return 82 bytes that only the recipient can read.

    The nonce is zero: every key seals one message, in one direction of one attempt.
    """
    plain = write_share(mask_share) + write_share(key_share)
    return ChaCha20Poly1305(key).encrypt(_NONCE, plain, join(context, sender.encode(), recipient.encode()))


def unseal(key: bytes, context: bytes, sender: str, recipient: str, sealed: bytes) -> tuple[int, int]:
    """Return the sender's shares of its self mask and of its mask key.

    Raises:
        SealError: If a byte was changed, or the message was sealed for another client or attempt.
        MalformedMessageError: If a share is not below the prime.
    """
    try:
        plain = ChaCha20Poly1305(key).decrypt(_NONCE, sealed, join(context, sender.encode(), recipient.encode()))
    except InvalidTag:
        raise SealError(f"The shares {sender} sealed for {recipient} were changed on the way.") from None
    return read_share(plain[:SHARE_BYTES]), read_share(plain[SHARE_BYTES:])
