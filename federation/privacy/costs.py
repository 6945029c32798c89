"""What a private round costs a client: bytes to send, and seconds of work besides training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from federation.key_source import OperatingSystemKeys
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.noise_calibration import plan_noise
from federation.privacy.scheme import Scheme
from federation.privacy.sensitivity import Grid, clip_to_grid
from federation.secure_aggregation.framing import HEADER, INDEX, SIGNATURE_BYTES
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import add_keystreams
from federation.secure_aggregation.messages import ADVERTISED
from federation.secure_aggregation.sealing import SEALED_BYTES
from federation.secure_aggregation.shamir import SHARE_BYTES, split

PROBE = 1 << 16
"""Coordinates that are worked on; the time for a client's own number of them is scaled from these."""


def upload_bytes(dimension: int, neighbours: int) -> int:
    """Return what a client sends in one attempt at a round: the five messages (docs/secure_aggregation.md)."""
    shares = neighbours * (INDEX.size + SEALED_BYTES) + (neighbours + 1) * (INDEX.size + SHARE_BYTES)
    return 5 * HEADER.size + ADVERTISED.size + shares + 4 * dimension + SIGNATURE_BYTES


def client_seconds(scheme: Scheme, noise_multiplier: float, dimension: int) -> float:
    """Return the seconds of clip, noise, masks, keys and shares in a round on this machine.

    An estimate: each part is done once at a small size, and its time is scaled. The noise table is left out, as it
    is built once for a run.

    Raises:
        ValueError: If the noise cannot be split over the cohort.
    """
    size = min(dimension, PROBE)
    neighbourhood = scheme.neighbourhood
    grid = Grid(1.0, size)
    noise = DiscreteGaussian(plan_noise(noise_multiplier, grid, scheme.cohort).variance)
    stream = OperatingSystemKeys().stream("", 0, 0, "probe")
    vector = np.full(size, 1 / math.sqrt(size))
    own = KeyPair.generate(stream)
    other = KeyPair.generate(stream)
    wire = np.zeros(size, np.uint32)
    points = range(1, neighbourhood.neighbours + 2)
    coordinate = [
        _seconds(lambda: clip_to_grid(vector, grid, stream)),
        _seconds(lambda: noise.sample(size, stream)),
        _seconds(lambda: add_keystreams(wire, [stream.bytes(32)])) * len(points),
    ]
    pairwise = 2 * neighbourhood.neighbours * _seconds(lambda: own.shared_secret(other.public))
    shares = 2 * _seconds(lambda: split(bytes(32), neighbourhood.threshold, points, stream))
    return sum(coordinate) * dimension / size + pairwise + shares


def _seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the faster of two runs."""
    times = []
    for _ in range(2):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)
