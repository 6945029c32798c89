"""What privacy costs a client and the server in a round, in CPU time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.cpu_time import timed
from benchmarks.report import Bar
from benchmarks.secure_rounds import STAGES, SecureRounds
from federation.key_source import OperatingSystemKeys
from federation.privacy.cohort_counts import CohortCounts, provision
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.privacy.noise_calibration import plan_noise
from federation.privacy.sensitivity import Grid, clip_to_grid
from federation.secure_aggregation.masks import to_ring

NOISE_MULTIPLIER = 1.45
COLLUDING_SHARE = DROPOUT_SHARE = 0.1
ENCODED = 3
"""Clients whose clip and noise are timed; the others send zeros, under masks as good as anybody's."""


@dataclass(frozen=True)
class Encoding:
    """CPU seconds before the masks, each the least of several clients, and those clients' vectors."""

    table: float
    """Making the noise sampler's table, once per session."""
    clip: float
    """Clip, rounding and the exact test."""
    noise: float
    """Drawing, adding, and moving into the ring."""
    vectors: list[np.ndarray]
    """uint32, shape (D,)."""


def measure_round(dimension: int, clients: int, dropouts: int, rounds: int) -> tuple[dict[str, object], list[Bar]]:
    """Time whole rounds in which every client masks, and whose sums are checked; the least of all counts."""
    cohort = provision(clients, COLLUDING_SHARE, DROPOUT_SHARE)
    encoding = encode_some(dimension, cohort)
    parties = SecureRounds(cohort, dimension)
    vectors = dict.fromkeys(parties.names, np.zeros(dimension, np.uint32))
    vectors |= dict(zip(parties.names, encoding.vectors, strict=False))
    runs = [parties.run(vectors, dropped=parties.names[clients - dropouts :]) for _ in range(rounds)]
    client = {"clip": encoding.clip, "noise": encoding.noise}
    client |= {stage.name.lower(): min(min(run[stage].clients) for run in runs) for stage in STAGES}
    server = {stage.name.lower(): min(run[stage].server for run in runs) for stage in STAGES}
    where = f"d = {dimension}, n = {clients}"
    return {
        "sampler_table": encoding.table,
        "client": client,
        "server": server,
        "client_sends_bytes": {stage.name.lower(): max(runs[0][stage].sent) for stage in STAGES},
    }, [
        Bar.at_most(f"client: clip, noise, shares, masks and answers, {where}, CPU s", sum(client.values()), 0.4),
        Bar.at_most(f"server: whole round, {where}, {dropouts} dropouts, CPU s", sum(server.values()), 1.5),
    ]


def encode_some(dimension: int, cohort: CohortCounts) -> Encoding:
    """Clip some vectors and add noise to them."""
    grid, keys, generator = Grid(1.0, dimension), OperatingSystemKeys(), np.random.default_rng(0)
    sampler, table = timed(DiscreteGaussian, plan_noise(NOISE_MULTIPLIER, grid, cohort).variance)

    def add_noise(integers: np.ndarray) -> np.ndarray:
        return to_ring(integers + sampler.sample(dimension, keys.stream("", 0, 0, "noise")))

    clips, noises, vectors = [], [], []
    for _ in range(min(ENCODED, cohort.clients)):
        update = generator.standard_normal(dimension)  # far longer than the clip norm
        clipped, seconds = timed(clip_to_grid, update, grid, keys.stream("", 0, 0, "rounding"))
        clips.append(seconds)
        vector, seconds = timed(add_noise, clipped)
        noises.append(seconds)
        vectors.append(vector)
    return Encoding(table, min(clips), min(noises), vectors)
