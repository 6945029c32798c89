"""Pairwise masks over the integers modulo 2^32: each client's vector becomes uniform noise, and the sum stays exact.

Of every two clients one adds a mask and the other subtracts the same (Bonawitz et al. 2017). All clients of the
cohort must arrive in the sum: masks of one that drops out do not cancel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.secure_aggregation.keys import InvalidPublicKeyError, MaskKeys

BLOCK_WORDS = 64 * 1024
"""256 KiB: expansion and addition stay in the processor's cache."""
PROTOCOL = b"PrivFedTalk pairwise mask v1"
_ZEROS = bytes(4 * BLOCK_WORDS)


def mask_context(session: bytes, round: int, attempt: int) -> bytes:
    """Return what ties masks to one attempt at one round of one session."""
    return _join(session, round.to_bytes(4, "big"), attempt.to_bytes(4, "big"))


def mask(vector: np.ndarray, own: MaskKeys, publics: Mapping[str, bytes], client: str, context: bytes) -> None:
    """Add the client's masks to its vector, in place, modulo 2^32.

    A cohort of one has no mask: its vector is the sum, which is released anyway.

    Args:
        vector: uint32, shape (D,), C-contiguous.
        own: The client's keys, made for this round and attempt only.
        publics: Public keys of the whole cohort by client, the own one included.
        client: The client's own name.
        context: `mask_context` of the round, the same for everybody.

    Raises:
        InvalidPublicKeyError: If a key is malformed, of low order, or sent twice, or the own one is not there. The
            vector is then as it was.
    """
    if vector.dtype != np.uint32 or not vector.flags.c_contiguous:
        raise TypeError(f"Masks are added to a contiguous uint32 vector. Got {vector.dtype}.")
    if publics.get(client) != own.public:
        raise InvalidPublicKeyError(f"The cohort's keys do not hold the key that {client} sent.")
    if len(set(publics.values())) != len(publics):
        raise InvalidPublicKeyError("Two clients sent the same public key.")
    others = sorted(other for other in publics if other != client)
    keys = {other: pairwise_key(own, publics[other], client, other, context) for other in others}
    for other, key in keys.items():
        add_keystream(vector, key, subtract=other < client)


def pairwise_key(own: MaskKeys, public: bytes, client: str, other: str, context: bytes) -> bytes:
    """Return the AES key that two clients share in this round: HKDF-SHA256 of their X25519 secret."""
    lower, upper = sorted((client, other))
    info = _join(PROTOCOL, context, lower.encode(), upper.encode())
    return HKDF(SHA256(), length=32, salt=PROTOCOL, info=info).derive(own.shared_secret(public))


def add_keystream(vector: np.ndarray, key: bytes, subtract: bool = False) -> None:
    """Add or subtract AES-256-CTR's keystream under a one-time key, in place, modulo 2^32, shape (D,)."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    block = np.empty(min(BLOCK_WORDS, vector.size), np.uint32)
    combine = np.subtract if subtract else np.add
    for start in range(0, vector.size, BLOCK_WORDS):
        part = vector[start : start + BLOCK_WORDS]
        words = block[: part.size]
        encryptor.update_into(memoryview(_ZEROS)[: words.nbytes], memoryview(words).cast("B"))
        combine(part, words, out=part)


def to_ring(integers: np.ndarray) -> np.ndarray:
    """Return integers modulo 2^32, uint32."""
    return integers.astype(np.int64).astype(np.uint32)


def from_ring(residues: np.ndarray) -> np.ndarray:
    """Return the representatives in [-2^31, 2^31) of integers modulo 2^32, int64; right if no true sum lies outside."""
    return to_ring(residues).view(np.int32).astype(np.int64)


def _join(*parts: bytes) -> bytes:
    """Concatenate with lengths, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
