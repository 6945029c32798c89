"""What a round needs of a transport: ask clients, take the answers that come in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol


class Nodes(Protocol):
    """The devices that can be reached, by the name of their client.

    A transport vouches for who answers and for nothing else: answers may be missing, late, repeated or nonsense.
    """

    def ask(self, orders: Mapping[str, bytes], seconds: float) -> Iterator[tuple[str, bytes]]:
        """Give each client its order and yield (client, answer) as they come.

        Ends when everybody has answered or the seconds are over; what comes later is dropped.
        """
