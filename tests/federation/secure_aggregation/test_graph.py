"""The graph: neighbours are mutual, everybody has k of them, and nobody chose the order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from federation.secure_aggregation.graph import Graph

SEED = bytes(range(32))


@pytest.mark.parametrize(("members", "neighbours"), [(1, 0), (2, 1), (5, 4), (5, 8), (9, 4), (30, 6), (31, 28)])
def test_neighbours_are_mutual(members, neighbours):
    indices = range(3, 3 + 2 * members, 2)
    graph = Graph(indices, neighbours, SEED)
    for member in indices:
        near = graph.neighbours(member)
        assert member not in near
        assert len(near) == min(neighbours, members - 1)
        assert near == tuple(sorted(set(near)))
        assert all(member in graph.neighbours(other) for other in near)
        assert set(graph.holders(member)) == {member, *near}


def test_everybody_finds_the_same_ring_and_another_round_finds_another():
    rings = [Graph(range(40), 6, seed).neighbours(7) for seed in (SEED, SEED, bytes(32))]
    assert rings[0] == rings[1] != rings[2]


def places(shuffled: bool) -> np.ndarray:
    """Return how often each other client is a neighbour of the first, over many rounds."""
    counts = np.zeros(12, int)
    for number in range(1500):
        graph = Graph(range(13), 4, number.to_bytes(32, "big") if shuffled else bytes(32))
        counts[[other - 1 for other in graph.neighbours(0)]] += 1
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [True, False])
def test_every_client_is_as_likely_a_neighbour(shuffled):
    assert (chisquare(places(shuffled)).pvalue > 1e-6) == shuffled
