"""How many neighbours share a client's secrets, and how many of them open one, if any numbers are safe.

A secret's holders are its owner and the owner's k neighbours. A server that lies (*active*) might tell two groups of
honest holders different survivor sets, so that one gives the shares of the self mask and the other those of the mask
key; colluders give both. With t > (holders + colluders) / 2 no two such groups are large enough. On a ring with
t <= k/2 they are: the two arcs beside the victim do it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Literal

from federation.secure_aggregation.errors import SessionError

Adversary = Literal["active", "honest_but_curious"]

MOST_COMPLETE = 128
"""Largest cohort in which everybody is everybody's neighbour."""
SECURITY_BITS = 40
"""All that random neighbourhoods can spoil for privacy together has probability at most 2^-40."""
CORRECTNESS_BITS = 30
"""Permitted dropouts leave some neighbourhood below its threshold with probability at most 2^-30."""


@dataclass(frozen=True)
class Neighbourhood:
    """Who shares with whom, in numbers."""

    neighbours: int
    """k: each client's neighbours, all others on the complete graph, else even."""
    threshold: int
    """t: shares that open a secret, and signatures that a client must see."""


def safe_threshold(holders: int, colluders: int) -> int:
    """Return the least t > (holders + colluders) / 2."""
    return (holders + colluders) // 2 + 1


def plan_neighbourhood(clients: int, colluders: int, least_survivors: int, adversary: Adversary) -> Neighbourhood:
    """Return the neighbours and the threshold that are safe for a cohort.

    Up to 128 clients that is the complete graph. Beyond, it is the Harary ring (Bell et al. 2020) with the fewest
    neighbours, and the server must be honest but curious, as clients do not hear from all others.

    Args:
        clients: n, who advertise at most.
        colluders: c_max of them, who tell the server all they know.
        least_survivors: Fewest vectors in a sum that is released.
        adversary: What the server may do.

    Raises:
        SessionError: If no numbers are safe.
    """
    if clients <= MOST_COMPLETE:
        return Neighbourhood(clients - 1, safe_threshold(clients, colluders))
    if adversary == "active":
        raise SessionError(
            f"Against an active server a cohort has at most {MOST_COMPLETE} clients. Got {clients}. Split the roster "
            "into cohorts with a session each, or set `--security.adversary honest_but_curious`."
        )
    for neighbours in range(2, clients - 1, 2):
        most = most_colluding_neighbours(neighbours, clients, colluders, least_survivors)
        plan = Neighbourhood(neighbours, safe_threshold(neighbours + 1, most))
        if is_safe(plan, clients, colluders, least_survivors, adversary):
            return plan
    raise SessionError(
        f"No number of neighbours is safe for {clients} clients with {colluders} colluders and {least_survivors} "
        "survivors at least. Allow fewer dropouts or colluders."
    )


def is_safe(plan: Neighbourhood, clients: int, colluders: int, least_survivors: int, adversary: Adversary) -> bool:
    """Whether a neighbourhood meets the threshold rule and, on a ring, both probabilities.

    The union bounds over all clients take the worst size of U1 between the least survivors and n.
    """
    k, t = plan.neighbours, plan.threshold
    if k == clients - 1:
        return clients <= MOST_COMPLETE and safe_threshold(clients, colluders) <= t <= clients
    if adversary == "active" or not 2 <= k < clients - 1 or k % 2:
        return False
    most = most_colluding_neighbours(k, clients, colluders, least_survivors)
    dropouts = clients - least_survivors
    stays_open = _largest_count(clients - 1, dropouts, k, CORRECTNESS_BITS, clients) <= k - t
    return t >= safe_threshold(k + 1, most) and stays_open and _stays_connected(k, clients, colluders + dropouts)


def most_colluding_neighbours(neighbours: int, clients: int, colluders: int, least_survivors: int) -> int:
    """Return c_k: no client has more colluding neighbours, except with probability 2^-41 over the whole cohort."""
    fewest = max(least_survivors, neighbours + 1, colluders + 1)
    return _largest_count(fewest - 1, colluders, neighbours, SECURITY_BITS + 1, clients)


def _stays_connected(neighbours: int, clients: int, missing: int) -> bool:
    """Whether the ring without colluders and dropouts stays in one piece, but for probability 2^-41.

    It falls apart only where k/2 clients in a row are missing.
    """
    run = neighbours // 2
    return clients * comb(missing, run) << SECURITY_BITS + 1 <= comb(clients, run)


def _largest_count(population: int, marked: int, drawn: int, bits: int, times: int) -> int:
    """Return the least m with `times` P[more than m marked among the drawn] <= 2^-bits (hypergeometric, exact)."""
    drawn = min(drawn, population)
    marked = min(marked, population)
    total, tail = comb(population, drawn), 0
    for count, ways in _ways_from_the_top(population, marked, drawn):
        tail += ways
        if times * tail << bits > total:
            return count
    return 0


def _ways_from_the_top(population: int, marked: int, drawn: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers of marked among the drawn, downwards, with the number of ways for each."""
    unmarked = population - marked
    count = min(marked, drawn)
    ways = comb(marked, count) * comb(unmarked, drawn - count)
    while count >= 0 and ways:
        yield count, ways
        ways = ways * count * (unmarked - drawn + count) // ((marked - count + 1) * (drawn - count + 1))
        count -= 1
