"""The only source of privacy randomness: a keystream that nobody without its key can predict."""

from __future__ import annotations

import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK_BYTES = 256 * 1024
_ZEROS = bytes(BLOCK_BYTES)


class KeyStream:
    """AES-256 in counter mode under a key that is used once; every draw takes the next bytes.

    A stream that was copied by `fork` would repeat itself in both processes (the same noise twice cancels), so it
    serves only the process that made it.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError(f"A key stream needs a key of 32 bytes. Got {len(key)}.")
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        self._process = os.getpid()

    def fill(self, out: np.ndarray) -> None:
        """Overwrite a contiguous one-dimensional array with the next bytes of the stream.

        Raises:
            RuntimeError: In a process other than the one that made the stream.
        """
        if os.getpid() != self._process:
            raise RuntimeError("A key stream does not survive a fork. Make it in the process that draws from it.")
        # update_into a kept buffer is four times faster than update(), which touches fresh pages on every call.
        target = memoryview(out.view(np.uint8))
        for start in range(0, len(target), BLOCK_BYTES):
            block = target[start : start + BLOCK_BYTES]
            self._encryptor.update_into(memoryview(_ZEROS)[: len(block)], block)

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        out = np.empty(count, np.uint8)
        self.fill(out)
        return out.tobytes()

    def uint32(self, count: int) -> np.ndarray:
        """Return `count` uniform integers in [0, 2^32)."""
        out = np.empty(count, np.uint32)
        self.fill(out)
        return out

    def uint64(self, count: int) -> np.ndarray:
        """Return `count` uniform integers in [0, 2^64)."""
        out = np.empty(count, np.uint64)
        self.fill(out)
        return out

    def integers_below(self, bound: int, count: int) -> np.ndarray:
        """Return `count` integers uniform in [0, bound), uint64, without modulo bias; bound in [1, 2^63]."""
        if not 1 <= bound <= 2**63:
            raise ValueError(f"The bound of a uniform draw must lie in [1, 2^63]. Got {bound}.")
        last_fair = np.uint64(2**64 - 2**64 % bound - 1)
        out = self.uint64(count)
        while (unfair := np.flatnonzero(out > last_fair)).size:
            out[unfair] = self.uint64(unfair.size)
        return out % np.uint64(bound)

    def bernoulli(self, probability: float) -> bool:
        """Return True with the given probability, to 2^-64."""
        if not 0 <= probability <= 1:
            raise ValueError(f"A coin's probability must lie in [0, 1]. Got {probability}.")
        return int(self.uint64(1)[0]) < int(probability * 2**64)
