"""What the auditor draws: directions, normal numbers and coins, all from a key stream, so that audits repeat."""

from __future__ import annotations

import numpy as np

from federation.key_stream import KeyStream


def draw_normals(stream: KeyStream, *shape: int) -> np.ndarray:
    """Return standard normal numbers, float64 (Box and Muller 1958).

    For attackers and made-up data only: floating-point noise like this protects nobody (Mironov 2012).
    """
    count = int(np.prod(shape))
    words = (stream.uint64(2 * ((count + 1) // 2)) >> np.uint64(11)).astype(np.float64)
    radius, angle = np.split((words + 0.5) * 2.0**-53, 2)
    radius, angle = np.sqrt(-2 * np.log(radius)), 2 * np.pi * angle
    return np.r_[radius * np.cos(angle), radius * np.sin(angle)][:count].reshape(shape)


def draw_directions(stream: KeyStream, count: int, dimension: int) -> np.ndarray:
    """Return `count` independent uniform directions, shape (count, dimension), each of length 1."""
    normals = draw_normals(stream, count, dimension)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def draw_coins(stream: KeyStream, count: int) -> np.ndarray:
    """Return `count` fair coins, bool."""
    return (stream.uint32(count) & 1).astype(bool)
