"""What one client knows and computes in one attempt at a round. Its secrets serve nothing else and end with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import MalformedMessageError, SurvivorSetError, TooFewClientsError
from federation.secure_aggregation.graph import Graph
from federation.secure_aggregation.keys import KeyPair, demand_distinct
from federation.secure_aggregation.links import Link
from federation.secure_aggregation.masks import add_keystreams, commit, self_key
from federation.secure_aggregation.messages import Advertise, Confirm, MaskedInput, ShareKeys, Unmask
from federation.secure_aggregation.requests import Confirmations, KeyList, SealedShares, SurvivorSets
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.shamir import split
from federation.secure_aggregation.signing import sign_advertised, sign_sets, verify_advertised, verify_sets


class ClientAttempt:
    """The client's half of the protocol without order, memory and repetition, which `SecureClient` sees to.

    Args:
        client: The client's name.
        identity: Its Ed25519 key, whose public half is in the roster.
        session: Agreed before the first round.
        context: What both key pairs and the shares are bound to.
        stream: Source of both key pairs, the self mask and the coefficients of its shares, by purpose.
    """

    def __init__(
        self,
        client: str,
        identity: Ed25519PrivateKey,
        session: Session,
        context: bytes,
        stream: Callable[[str], KeyStream],
    ) -> None:
        self.client, self.identity, self.roster, self.config = client, identity, session.roster, session.config
        self.index = session.roster.index(client)
        self.setup = self.context = context
        """What the first two messages carry, and what the others do; these differ in later rounds of an epoch."""
        self._channel = KeyPair.generate(stream("channel"))
        self._mask = KeyPair.generate(stream("mask"))
        self._secret = stream("self mask").bytes(32)
        self._coefficients = stream("shares")
        self.survivors: tuple[str, ...] = ()

    def advertise(self) -> bytes:
        """Return the public keys and the commitment, signed."""
        commitment = commit(self._secret, self.client, self.setup)
        entry = Advertise(self.index, self._channel.public, self._mask.public, commitment)
        self._advertised = sign_advertised(entry, self.identity, self.setup)
        return self._advertised.encode(self.setup)

    def share_keys(self, request: bytes) -> bytes:
        """Return shares of both secrets, sealed for each neighbour, once all keys are found to be sound."""
        self._key_list = KeyList.decode(request, self.index, self.setup, len(self.roster.clients))
        advertised = self._key_list.advertised
        self._demand_sound(advertised)
        self._graph = Graph(sorted(advertised), self.config.neighbours, self._key_list.digest())
        for other in self._graph.neighbours(self.index):
            verify_advertised(advertised[other], self.roster, self.setup)
        self._links = {other: self._link(advertised[other]) for other in self._graph.neighbours(self.index)}
        mask_shares = self._split(self._secret)
        key_shares = self._split(self._mask.private.private_bytes_raw())
        self._held = {self.index: (mask_shares[self.index], key_shares[self.index])}
        sealed = {other: link.seal(mask_shares[other], key_shares[other]) for other, link in self._links.items()}
        return ShareKeys(self.index, sealed).encode(self.setup)

    def mask_input(self, request: bytes, vector: np.ndarray) -> bytes:
        """Return the vector under the own mask and one with every neighbour that sent shares; the argument stays."""
        if vector.dtype != np.uint32 or vector.shape != (self.config.dimension,):
            raise TypeError(
                f"A client's input is uint32 of shape ({self.config.dimension},). Got {vector.dtype} {vector.shape}."
            )
        neighbours = self._graph.neighbours(self.index)
        sealed = SealedShares.decode(request, self.index, self.context, neighbours).sealed
        self._demand_enough(1 + len(sealed), "sent shares")
        self._held |= {other: self._links[other].unseal(shares) for other, shares in sealed.items()}
        masked = vector.copy()
        own = self_key(self._secret, self.client, self.context)
        add_keystreams(
            masked,
            added=[own, *(self._links[other].mask(self.context) for other in sealed if other > self.index)],
            subtracted=[self._links[other].mask(self.context) for other in sealed if other < self.index],
        )
        # From here on the client needs nothing but the shares it holds for others.
        del self._secret, self._mask, self._channel, self._links, self._coefficients
        return MaskedInput(self.index, masked).encode(self.context)

    def confirm(self, request: bytes) -> bytes:
        """Return a signature over the survivor set as this client sees it, which it hashes itself."""
        advertised = self._graph.members
        sets = SurvivorSets.decode(request, self.index, self.context, advertised)
        self._demand_consistent(sets)
        self._sets, self._transcript = sets, sets.transcript(self.context, self._key_list)
        self.survivors = tuple(self.roster.clients[other] for other in sorted(sets.survivors))
        return Confirm(self.index, sign_sets(self._transcript, self.identity)).encode(self.context)

    def unmask(self, request: bytes) -> bytes:
        """Return one share for every owner, chosen by the survivor set that enough neighbours signed."""
        survivors = self._sets.survivors
        surviving = [other for other in self._graph.neighbours(self.index) if other in survivors]
        signatures = Confirmations.decode(request, self.index, self.context, surviving).signatures
        self._demand_enough(1 + len(signatures), "confirmed the survivor set")
        for other, signature in signatures.items():
            verify_sets(signature, self._transcript, self.roster, other)
        answers = {owner: shares[0 if owner in survivors else 1] for owner, shares in self._held.items()}
        return Unmask(self.index, answers).encode(self.context)

    def _demand_sound(self, advertised: Mapping[int, Advertise]) -> None:
        """Refuse a round with too few or too many clients, with keys twice, or with another key for this client."""
        most, least = self.config.clients, self.config.least_clients
        if not least <= len(advertised) <= most:
            raise TooFewClientsError(f"A round of this session has {least} to {most} clients. Got {len(advertised)}.")
        if advertised.get(self.index) != self._advertised:
            raise MalformedMessageError(f"The list of keys must hold what {self.client} advertised. It does not.")
        demand_distinct([key for entry in advertised.values() for key in (entry.channel_key, entry.mask_key)])

    def _demand_consistent(self, sets: SurvivorSets) -> None:
        """Refuse survivors that contradict what this client saw, or that are too few to hide it."""
        near = set(self._graph.holders(self.index))
        if not sets.survivors <= sets.sharing or self.index not in sets.survivors:
            raise SurvivorSetError(
                f"Survivors are among those who shared keys, {self.client} with them. These are not."
            )
        if sets.sharing & near != set(self._held):
            raise SurvivorSetError("The clients who shared keys are not those whose shares arrived.")
        if len(sets.survivors) < self.config.least_survivors:
            raise TooFewClientsError(
                f"The noise counts on {self.config.least_survivors} survivors. Got {len(sets.survivors)}."
            )
        self._demand_enough(len(sets.survivors & near), "survived")

    def _demand_enough(self, count: int, what: str) -> None:
        if count < self.config.threshold:
            raise TooFewClientsError(f"At least {self.config.threshold} neighbours must have {what}. Got {count}.")

    def _link(self, entry: Advertise) -> Link:
        neighbour = self.roster.clients[entry.client]
        return Link.derive(self._channel, self._mask, entry, self.client, neighbour, self.setup)

    def _split(self, secret: bytes) -> dict[int, int]:
        """Return a share of a secret for each holder; the point of a share is the holder's index plus one."""
        holders = self._graph.holders(self.index)
        shares = split(secret, self.config.threshold, [holder + 1 for holder in holders], self._coefficients)
        return {holder: shares[holder + 1] for holder in holders}
