from __future__ import annotations

import random
from itertools import product

import numpy as np
import torch

from federation.seeding import derive_seed, seed_training


def test_seeds_differ_in_every_argument():
    seeds = [derive_seed(*args) for args in product((0, 1), (0, 1, 10), ("a", "b", 'a"'), ("training", "batches"))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_everywhere():
    assert derive_seed(7, 3, "ann", "training") == derive_seed(7, 3, "ann", "training")
    assert derive_seed(0, 0, "", "") == SEED_OF_NOTHING


def test_all_generators_follow_the_seed():
    draws = []
    for _ in range(2):
        seed_training(2**63 - 1)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws[0] == draws[1]


SEED_OF_NOTHING = 4317379916380324720
"""SHA-256 of '[0, 0, "", ""]', first 63 bits: a change here would break resuming old runs."""
