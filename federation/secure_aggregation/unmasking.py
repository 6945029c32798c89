"""The last step: the survivors' masks leave the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federation.secure_aggregation.graph import Graph
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import add_keystreams, commit, pairwise_key, self_key
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.recovery import SecretRecovery
from federation.secure_aggregation.requests import SurvivorSets


@dataclass(frozen=True)
class Unmasking:
    """What the server knows of an attempt once the shares are in.

    Args:
        names: The roster's clients.
        setup: Context in which U1 advertised.
        context: Of the attempt.
        graph: Who is whose neighbour in U1.
        advertised: Keys and commitments of U1.
        sets: U2 and U3.
    """

    names: tuple[str, ...]
    setup: bytes
    context: bytes
    graph: Graph
    advertised: Mapping[int, Advertise]
    sets: SurvivorSets

    def apply(self, total: np.ndarray, shares: Mapping[int, Mapping[int, int]], recovery: SecretRecovery) -> None:
        """Take all masks out of the sum, in place.

        Args:
            total: Sum of the survivors' masked vectors, uint32, shape (D,).
            shares: By owner and holder: of the self mask for survivors, of the mask key for those who dropped out.
            recovery: Gives the secrets back.

        Raises:
            ProtocolError: If a secret cannot be recovered; the total is then as it was.
        """
        added: list[bytes] = []
        subtracted = [self._self_key(owner, shares[owner], recovery) for owner in sorted(self.sets.survivors)]
        for dropped in sorted(self.sets.sharing - self.sets.survivors):
            neighbours = [other for other in self.graph.neighbours(dropped) if other in self.sets.survivors]
            if neighbours:
                own = self._mask_keys(dropped, shares[dropped], recovery)
                # Who comes first in the roster added the mask, so it is subtracted here.
                subtracted += [self._pair(own, dropped, other) for other in neighbours if other < dropped]
                added += [self._pair(own, dropped, other) for other in neighbours if other > dropped]
        add_keystreams(total, added, subtracted)

    def _self_key(self, owner: int, shares: Mapping[int, int], recovery: SecretRecovery) -> bytes:
        name, commitment = self.names[owner], self.advertised[owner].commitment
        secret = recovery.recover(owner, shares, lambda found: commit(found, name, self.setup) == commitment)
        return self_key(secret, name, self.context)

    def _mask_keys(self, owner: int, shares: Mapping[int, int], recovery: SecretRecovery) -> KeyPair:
        public = self.advertised[owner].mask_key
        return KeyPair.from_private(
            recovery.recover(owner, shares, lambda found: KeyPair.from_private(found).public == public)
        )

    def _pair(self, own: KeyPair, dropped: int, other: int) -> bytes:
        public = self.advertised[other].mask_key
        return pairwise_key(own, public, self.names[dropped], self.names[other], self.context)
