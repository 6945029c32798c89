"""Last step of the pipeline: pairwise masks, so that only the sum of a cohort can be read."""

from __future__ import annotations

import hashlib

import numpy as np
from typing_extensions import override

from federation.hooks import FederationCallback
from federation.privacy.keys import KeySource
from federation.secure_aggregation.keys import MaskKeys
from federation.secure_aggregation.masks import from_ring, mask, mask_context, to_ring
from federation.update import Aggregate, ClientUpdate, RoundState

SESSION = "session"


class SecureAggregation(FederationCallback):
    """Masks each client's integers over Z_2^32 with keys agreed between every two clients of the cohort.

    A client publishes one X25519 key per round and attempt; all masks cancel in the sum of the whole cohort. A cohort
    of one has nobody to agree with: its vector is hidden by its noise alone. There is no recovery from a client that
    falls silent after the exchange: the round is tried again with fresh keys.

    Args:
        keys: Source of the private keys.
    """

    def __init__(self, keys: KeySource) -> None:
        self.keys = keys
        self.session = b""

    @override
    def on_run_start(self, state: RoundState) -> None:
        nonce = self.keys.stream("", 0, 0, SESSION).bytes(32)
        self.session = state.exchange({SESSION: nonce} if state.is_main else {})[SESSION]

    @override
    def on_cohort_ready(self, state: RoundState, updates: list[ClientUpdate]) -> None:
        own = {
            update.client: MaskKeys.generate(self.keys.stream(update.client, state.index, state.attempt, "mask"))
            for update in updates
        }
        publics = state.exchange({client: pair.public for client, pair in own.items()})
        if set(publics) != set(state.clients):
            raise ValueError(f"Every client of the cohort must send one key. Got {sorted(publics)}.")
        context = self._context(state)
        for update in updates:
            update.wire = to_ring(update.integers)
            mask(update.wire, own[update.client], publics, update.client, context)

    @override
    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        aggregate.vector = from_ring(aggregate.wire).astype(np.float64)
        state.metrics["released/upload_bytes"] = float(aggregate.wire.nbytes)

    def _context(self, state: RoundState) -> bytes:
        """Bind the masks to session, round, attempt, cohort, clip norm and the adapter everybody started from.

        A client that was given another adapter than the rest has masks that do not cancel, so its update stays hidden.
        """
        digest = hashlib.sha256(f"{state.clip_norm!r}|{'|'.join(state.clients)}|".encode())
        digest.update(state.global_adapter.numpy(force=True).tobytes())
        return mask_context(self.session + digest.digest(), state.index, state.attempt)
