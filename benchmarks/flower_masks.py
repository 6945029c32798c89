"""Masking and unmasking as Flower 1.41 does it, from its own functions; needs flwr.

The order of calls is that of `_collect_masked_vectors` in `flwr/client/mod/secure_aggregation/secaggplus_mod.py` and
of `unmask_stage` in `flwr/server/workflow/secure_aggregation/secaggplus_workflow.py`. Left out on both sides:
quantisation, sealing of shares, and messages.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.common import ndarray_to_bytes
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    factor_extract,
    get_parameters_shape,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

MODULUS = 2**32
WEIGHT = 1
"""Flower puts a weight before every vector."""

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class FlowerShares:
    """A client's shares by holder."""

    seed: list[bytes]
    private_key: list[bytes]


@dataclass(frozen=True)
class FlowerClient:
    """What a client has after Flower's first two stages, as bytes."""

    private_key: bytes
    public_key: bytes
    seed: bytes

    @classmethod
    def make(cls) -> FlowerClient:
        """Return a client with fresh keys and a fresh seed of its own mask."""
        private, public = generate_key_pairs()
        return cls(private_key_to_bytes(private), public_key_to_bytes(public), os.urandom(32))

    def deal(self, threshold: int, holders: int) -> FlowerShares:
        """Return a share of either secret for each holder."""
        secrets = (self.seed, self.private_key)
        return FlowerShares(*(create_shares(secret, threshold, holders) for secret in secrets))


def mask(number: int, clients: Sequence[FlowerClient], vector: np.ndarray) -> Arrays:
    """Return a client's weight and vector, int32, shape (d,), under the masks of the complete graph."""
    own = clients[number]
    masked = factor_combine(WEIGHT, [vector])
    shapes = get_parameters_shape(masked)
    masked = parameters_addition(masked, pseudo_rand_gen(own.seed, MODULUS, shapes))
    for other, neighbour in enumerate(clients):
        if other != number:
            key = generate_shared_key(bytes_to_private_key(own.private_key), bytes_to_public_key(neighbour.public_key))
            pairwise = pseudo_rand_gen(key, MODULUS, shapes)
            combine = parameters_addition if number > other else parameters_subtraction
            masked = combine(masked, pairwise)
    return parameters_mod(masked, MODULUS)


def unmask(
    total: Arrays, clients: Sequence[FlowerClient], shares: Mapping[int, list[bytes]], dropped: Collection[int]
) -> np.ndarray:
    """Return the sum of the survivors' vectors, int64, shape (d,).

    Args:
        total: Sum of what the survivors sent.
        clients: Of whom only the public keys are read.
        shares: By owner, as many as there are survivors: of the seed, or of the private key of who dropped out. Flower
            combines all that came, not just the threshold.
        dropped: Who sent no vector.
    """
    for owner, received in shares.items():
        secret = combine_shares(received)
        if owner not in dropped:
            total = parameters_subtraction(total, pseudo_rand_gen(secret, MODULUS, get_parameters_shape(total)))
        else:
            for other, neighbour in enumerate(clients):
                if other != owner:
                    key = generate_shared_key(bytes_to_private_key(secret), bytes_to_public_key(neighbour.public_key))
                    pairwise = pseudo_rand_gen(key, MODULUS, get_parameters_shape(total))
                    combine = parameters_addition if owner > other else parameters_subtraction
                    total = combine(total, pairwise)
    return factor_extract(parameters_mod(total, MODULUS))[1][0]


def add_up(vectors: Sequence[Arrays]) -> Arrays:
    """Return the sum of what the clients sent, as the server keeps it."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = parameters_addition(total, vector)
    return parameters_mod(total, MODULUS)


def upload_bytes(masked: Arrays) -> int:
    """Return the bytes that a client sends of its vector."""
    return sum(len(ndarray_to_bytes(array)) for array in masked)
