"""Who is whose neighbour: everybody, or the nearest on a ring whose order nobody chose."""

from __future__ import annotations

from collections.abc import Sequence

from federation.key_stream import KeyStream


class Graph:
    """The complete graph, or a Harary graph: each client's k nearest on a ring, k/2 on either side.

    The ring's order is drawn from a hash of all that the clients advertised, so everybody finds the same one and an
    honest server has no say in it. A client that advertises last and tries many keys could choose its place: the ring
    is for clients and servers that follow the protocol.

    Args:
        members: U1, sorted.
        neighbours: k; with as many members or fewer, everybody is a neighbour.
        seed: 32 bytes, public, the same for everybody.
    """

    def __init__(self, members: Sequence[int], neighbours: int, seed: bytes) -> None:
        self.members = tuple(members)
        self.is_complete = neighbours >= len(self.members) - 1
        self._reach = neighbours // 2
        self._order = () if self.is_complete else _shuffle(self.members, seed)
        self._places = {member: place for place, member in enumerate(self._order)}

    def neighbours(self, member: int) -> tuple[int, ...]:
        """Return a member's neighbours, sorted."""
        return tuple(other for other in self.holders(member) if other != member)

    def holders(self, member: int) -> tuple[int, ...]:
        """Return who holds shares of a member's secrets: its neighbours and itself, sorted."""
        if self.is_complete:
            return self.members
        place, size = self._places[member], len(self._order)
        return tuple(sorted(self._order[(place + step) % size] for step in range(-self._reach, self._reach + 1)))


def _shuffle(members: Sequence[int], seed: bytes) -> tuple[int, ...]:
    """Return the members in an order that only the seed determines (Fisher and Yates)."""
    order, stream = list(members), KeyStream(seed)
    for last in range(len(order) - 1, 0, -1):
        chosen = int(stream.integers_below(last + 1, 1)[0])
        order[last], order[chosen] = order[chosen], order[last]
    return tuple(order)
