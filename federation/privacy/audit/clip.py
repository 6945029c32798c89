"""No client counts for more than the clip norm, whatever its vector holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from federation.key_stream import KeyStream
from federation.privacy.audit.draws import draw_directions
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most
from federation.privacy.sensitivity import squared_norm

FUZZ_DIMENSION = 16


def check_clip(system: System) -> Verdict:
    """Clip vectors made to break a clip, and compare their exact squared norm with what the noise is made for."""
    bound, client = system.terms.grid.bound_squared, system.terms.names[0]
    stream = system.keys.stream("auditor", 0, 0, "clip")
    with np.errstate(all="ignore"):
        vectors = list(awkward_vectors(system.terms.clip_norm, system.terms.dimension, stream))
        norms = [squared_norm(system.encode(client, round, vector)) for round, vector in enumerate(vectors)]
    # The comparison is between integers; dividing them may round to 1.
    figure = max(max(norms) / bound, 1 + 1e-9 if max(norms) > bound else 0.0)
    return at_most("no client exceeds the clip norm", figure, 1.0, f"{len(norms)} awkward vectors, exact squared norm")


def check_fuzzed_clip(system: System, vectors: int = 2_000) -> Verdict:
    """Clip vectors of random bits (NaN, infinities, denormal and huge numbers among them) on a short grid."""
    short = system.under(dimension=FUZZ_DIMENSION)
    bound, stream = short.terms.grid.bound_squared, system.keys.stream("auditor", 0, 0, "fuzz")
    over = 0
    with np.errstate(all="ignore"):
        for round in range(vectors):
            vector = random_bits(stream, short.terms.clip_norm)
            over += squared_norm(short.encode(short.terms.names[0], round, vector)) > bound
    return at_most("no fuzzed vector exceeds the clip norm", over, 0.0, f"{vectors} vectors of random bits")


def random_bits(stream: KeyStream, clip_norm: float) -> np.ndarray:
    """Return float64 numbers of random bits; in every other vector their size is that of the clip norm."""
    numbers = stream.uint64(FUZZ_DIMENSION).view(np.float64)
    if stream.bernoulli(0.5):
        return numbers
    mantissas = np.frexp(np.nan_to_num(numbers, posinf=1, neginf=-1))[0]
    return mantissas * clip_norm


def awkward_vectors(clip_norm: float, dimension: int, stream: KeyStream) -> Iterator[np.ndarray]:
    """Yield vectors of shape (D,) that usual clips get wrong."""
    unit = draw_directions(stream, 1, dimension)[0] * clip_norm
    first = np.arange(dimension) == 0
    halves = np.array_split(unit, 2)
    yield from (scale * unit for scale in (0.0, 1.0, 1 + 1e-7, 1_000.0, 1e300, 1e-200))
    yield np.concatenate([half * clip_norm / max(np.linalg.norm(half), 1e-300) for half in halves])
    yield np.concatenate([halves[0], 3 * halves[1]])
    yield np.full(dimension, 1e308)
    yield np.full(dimension, 5e-324)
    yield 50 * clip_norm * first
    yield from (np.where(first, value, 1e7 * unit) for value in (np.nan, np.inf, -np.inf))
