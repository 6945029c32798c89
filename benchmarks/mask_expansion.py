"""One mask against the bare cipher and the bare addition."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.cpu_time import best_of
from benchmarks.report import Bar
from federation.secure_aggregation.masks import BLOCK_WORDS, add_keystreams


@dataclass(frozen=True)
class Expansion:
    """CPU seconds for adding one mask; the floors do the same without key set-up and buffers of their own."""

    ours: float
    floor_in_one_pass: float
    """AES-256-CTR into a kept buffer of the vector's size, then one addition."""
    floor_in_blocks: float
    """The same in blocks of 256 KiB, which stay in the processor's cache."""

    @property
    def ratio(self) -> float:
        """Return our time in units of the faster floor."""
        return self.ours / min(self.floor_in_one_pass, self.floor_in_blocks)


def measure_expansion(dimension: int, repeats: int) -> tuple[Expansion, list[Bar]]:
    """Time the three in turns, in this process."""
    vector, key = np.zeros(dimension, np.uint32), os.urandom(32)
    floors = (expand_and_add(vector, dimension), expand_and_add(vector, BLOCK_WORDS))
    expansion = Expansion(*best_of(repeats, lambda: add_keystreams(vector, [key]), *floors))
    name = f"mask expansion, d = {dimension}, times the faster of two floors of AES-256-CTR and addition"
    return expansion, [Bar.at_most(name, expansion.ratio, 1.25)]


def expand_and_add(vector: np.ndarray, words: int) -> Callable[[], None]:
    """Return the bare work in blocks of so many words: `update_into` a kept buffer, and `np.add`."""
    stream = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(bytes(16))).encryptor()
    zeros, block = memoryview(bytes(4 * words)), np.empty(words, np.uint32)
    target = memoryview(block).cast("B")

    def work() -> None:
        for start in range(0, vector.size, words):
            part = vector[start : start + words]
            stream.update_into(zeros[: part.nbytes], target[: part.nbytes])
            np.add(part, block[: part.size], out=part)

    return work
