"""Masks over the integers modulo 2^32: each client's vector becomes uniform noise, and the sum stays exact.

Of every two neighbours one adds a mask and the other subtracts the same; each client also adds a mask of its own
(Bonawitz et al. 2017). The server takes the own masks of the survivors out of the sum, and the halves that survivors
hold of masks they had with dropped clients.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.secure_aggregation.framing import digest, join
from federation.secure_aggregation.keys import KeyPair

BLOCK_WORDS = 64 * 1024
"""256 KiB: expansion and addition stay in the processor's cache."""
PAIRWISE = b"PrivFedTalk pairwise mask v1"
SELF = b"PrivFedTalk self mask v1"
COMMITMENT = b"PrivFedTalk self mask commitment v1"
_ZEROS = bytes(4 * BLOCK_WORDS)


def pairwise_key(own: KeyPair, public: bytes, client: str, other: str, context: bytes) -> bytes:
    """Return the AES key that two clients share in this attempt, from the key pair of one and the other's public key.

    The client whose name comes first adds the keystream, the other subtracts it.
    """
    return derive_pairwise(own.shared_secret(public), client, other, context)


def derive_pairwise(secret: bytes, client: str, other: str, context: bytes) -> bytes:
    """Return the AES key that follows from two clients' X25519 secret: HKDF-SHA256, bound to attempt and both names."""
    lower, upper = sorted((client, other))
    info = join(PAIRWISE, context, lower.encode(), upper.encode())
    return HKDF(SHA256(), length=32, salt=PAIRWISE, info=info).derive(secret)


def self_key(secret: bytes, client: str, context: bytes) -> bytes:
    """Return the AES key of a client's own mask, from the 32 bytes that it shares among its neighbours."""
    return HKDF(SHA256(), length=32, salt=SELF, info=join(SELF, context, client.encode())).derive(secret)


def commit(secret: bytes, client: str, context: bytes) -> bytes:
    """Return the commitment to a self mask: it binds by SHA-256, and hides because the secret has 256 random bits."""
    return digest(COMMITMENT, context, client.encode(), secret)


def add_keystreams(vector: np.ndarray, added: Iterable[bytes] = (), subtracted: Iterable[bytes] = ()) -> None:
    """Add and subtract keystreams of AES-256-CTR under one-time keys, in place, modulo 2^32.

    All keystreams of a block are added before the next block is touched, so that it is read and written once.

    Args:
        vector: uint32, shape (D,), C-contiguous.
        added: Keys whose keystream is added, 32 bytes each.
        subtracted: Keys whose keystream is subtracted.
    """
    if vector.dtype != np.uint32 or not vector.flags.c_contiguous:
        raise TypeError(f"Masks are added to a contiguous uint32 vector. Got {vector.dtype}.")
    streams = [(_keystream(key), np.add) for key in added] + [(_keystream(key), np.subtract) for key in subtracted]
    block = np.empty(min(BLOCK_WORDS, vector.size), np.uint32)
    for start in range(0, vector.size, BLOCK_WORDS):
        part = vector[start : start + BLOCK_WORDS]
        words = block[: part.size]
        zeros, target = memoryview(_ZEROS)[: words.nbytes], memoryview(words).cast("B")
        for stream, combine in streams:
            stream.update_into(zeros, target)
            combine(part, words, out=part)


def to_ring(integers: np.ndarray) -> np.ndarray:
    """Return integers modulo 2^32, uint32."""
    return integers.astype(np.int64).astype(np.uint32)


def from_ring(residues: np.ndarray) -> np.ndarray:
    """Return the representatives in [-2^31, 2^31) of integers modulo 2^32, int64; right if no true sum lies outside."""
    return to_ring(residues).view(np.int32).astype(np.int64)


def _keystream(key: bytes) -> CipherContext:
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
