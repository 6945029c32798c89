"""Hands clients to devices while they train: whoever is free takes the longest one that is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence


def longest_first(
    clients: Sequence[str], seconds: Mapping[str, float], num_examples: Callable[[str], int]
) -> list[str]:
    """Order clients by how long they will take, so that no long one starts last.

    Args:
        clients: The cohort.
        seconds: What clients took before; unknown ones come first. Must be equal on every device.
        num_examples: Breaks ties, as caching a client's clips takes time in its first round.
    """
    return sorted(clients, key=lambda client: (-seconds.get(client, math.inf), -num_examples(client), client))


def hand_out(clients: Sequence[str], claim: Callable[[str], bool]) -> Iterator[str]:
    """Yield this device's clients one by one; over all devices, each client is yielded exactly once.

    A device waits for no other, not even for an answer, so a slow client or a busy device holds up nobody.

    Args:
        clients: The cohort, in an order that is the same on every device.
        claim: Says whether this device may have a client: True on one device only, and once.
    """
    return filter(claim, clients)
