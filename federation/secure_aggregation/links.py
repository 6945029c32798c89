"""What a client shares with one neighbour: a channel in each direction, and a mask."""

from __future__ import annotations

from dataclasses import dataclass

from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import derive_pairwise
from federation.secure_aggregation.messages import Advertise
from federation.secure_aggregation.sealing import channel_key, seal, unseal


@dataclass(frozen=True, repr=False)
class Link:
    """The keys between a client and one neighbour in one attempt."""

    client: str
    neighbour: str
    setup: bytes
    """Context in which both advertised."""
    secret: bytes
    """X25519 secret of their mask keys."""
    outgoing: bytes
    incoming: bytes

    @classmethod
    def derive(
        cls, channel: KeyPair, mask: KeyPair, entry: Advertise, client: str, neighbour: str, setup: bytes
    ) -> Link:
        """Return the keys that follow from the client's two key pairs and what the neighbour advertised.

        Raises:
            InvalidPublicKeyError: If a key of the neighbour is malformed or of low order.
        """
        secret = channel.shared_secret(entry.channel_key)
        return cls(
            client,
            neighbour,
            setup,
            secret=mask.shared_secret(entry.mask_key),
            outgoing=channel_key(secret, setup, client, neighbour),
            incoming=channel_key(secret, setup, neighbour, client),
        )

    def mask(self, context: bytes) -> bytes:
        """Return the AES key of the mask between the two in an attempt."""
        return derive_pairwise(self.secret, self.client, self.neighbour, context)

    def seal(self, mask_share: int, key_share: int) -> bytes:
        """Return the shares of the client's two secrets as only the neighbour can read them."""
        return seal(self.outgoing, self.setup, self.client, self.neighbour, mask_share, key_share)

    def unseal(self, sealed: bytes) -> tuple[int, int]:
        """Return the shares of the neighbour's two secrets; raises SealError if they were changed."""
        return unseal(self.incoming, self.setup, self.neighbour, self.client, sealed)
