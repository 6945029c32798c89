"""Hands clients to devices while they train: whoever is free takes the longest one that is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TypeVar

from torch.distributed import distributed_c10d

from federation.exchange import is_parallel, meeting

Item = TypeVar("Item")

_hand_outs = count()


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


def form_groups(clients: Sequence[str], at_once: int, devices: int) -> list[tuple[str, ...]]:
    """Cut an ordered cohort into groups of at most `at_once`, so small that every device gets one if it can."""
    size = max(1, min(at_once, math.ceil(len(clients) / devices)))
    return [tuple(clients[start : start + size]) for start in range(0, len(clients), size)]


def hand_out(clients: Sequence[Item]) -> Iterator[Item]:
    """Yield this device's clients, or groups of them, one by one; over all devices, each is yielded exactly once.

    Devices share nothing but a counter in the process group's store, so a slow client holds up nobody. Each device must
    start one hand-out per round, with the same order of clients.
    """
    take = _shared_counter() if is_parallel() else count().__next__
    while (position := take()) < len(clients):
        yield clients[position]


def _shared_counter() -> Callable[[], int]:
    """Return a function that gives 0, 1, 2, ... over all devices; each hand-out of the process has its own counter."""
    store = distributed_c10d._get_default_store()
    key = f"federation/hand_out/{next(_hand_outs)}"

    def take() -> int:
        with meeting():
            return store.add(key, 1) - 1

    return take
