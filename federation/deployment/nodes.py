"""What a round needs of a transport: ask devices, take the answers that come in time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol


class Nodes(Protocol):
    """The devices that can be reached, by numbers that say where to send and nothing else.

    A transport vouches for which node answers and for nothing else: answers may be missing, late, repeated or
    nonsense. Whose device a node is follows from its signature.
    """

    def everybody(self) -> Collection[int]:
        """Return the nodes that are there now."""

    def ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        """Give each node its order and yield (node, answer) as they come.

        Ends when everybody has answered or the seconds are over; what comes later is dropped.
        """
