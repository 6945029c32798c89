"""Where secrets come from: the operating system, or, for tests and simulations only, a seed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.key_stream import KeyStream


class KeySource(ABC):
    """Hands out one key stream per (client, round, attempt, purpose).

    Purposes of a client are `coin`, `rounding` and `noise`, and in secure aggregation `identity`, `channel`, `mask`,
    `self mask` and `shares`, the last four with ` of round 3` behind them for a later round of an epoch. Ask for each
    stream once and draw from it in order: a seeded source answers the same question with the same stream.
    """

    @abstractmethod
    def stream(self, client: str, round: int, attempt: int, purpose: str) -> KeyStream:
        """Return the stream of one client, round, attempt and purpose."""


class OperatingSystemKeys(KeySource):
    """A fresh key from the operating system at every call."""

    def stream(self, client: str, round: int, attempt: int, purpose: str) -> KeyStream:
        """Return a stream that no argument determines."""
        return KeyStream(os.urandom(32))


class SeededKeys(KeySource):
    """Keys derived from a public seed: the run can be repeated bit for bit, and it protects nobody."""

    def __init__(self, seed: int) -> None:
        self._seed = str(int(seed)).encode()

    def stream(self, client: str, round: int, attempt: int, purpose: str) -> KeyStream:
        """Return the stream that the seed and all four arguments determine (HKDF-SHA256)."""
        parts = (client.encode(), str(int(round)).encode(), str(int(attempt)).encode(), purpose.encode())
        # The length before each part keeps ("ab", "c") and ("a", "bc") apart.
        info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        key = HKDF(SHA256(), length=32, salt=b"PrivFedTalk seeded keys v1", info=info).derive(self._seed)
        return KeyStream(key)
