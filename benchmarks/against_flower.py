"""Our masking and unmasking against Flower's, with the same clients, coordinates, threshold and dropout.

Flower puts shares together in a pool of threads, of which Python runs one at a time: its CPU time is its wall time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from benchmarks.cpu_time import best_of, timed
from benchmarks.report import Bar
from benchmarks.secure_rounds import SecureRounds
from federation.key_source import OperatingSystemKeys
from federation.privacy.cohort_counts import provision
from federation.secure_aggregation.framing import HEADER
from federation.secure_aggregation.keys import KeyPair
from federation.secure_aggregation.masks import add_keystreams, pairwise_key, self_key
from federation.secure_aggregation.stages import Stage
from federation.secure_aggregation.thresholds import safe_threshold

FLOWER = "1.41"
"""The version whose code `flower_masks` follows."""


@dataclass(frozen=True)
class Masking:
    """CPU seconds and bytes."""

    client: float
    """Key agreement with every other client, expansion and addition of all masks."""
    server: float
    """Recovery of the secrets, expansion, and taking the masks out of the sum."""
    bytes_per_coordinate: float
    """Of the masked vector, without what stands before it in the message."""


def compare_with_flower(dimension: int, clients: int, repeats: int) -> tuple[dict[str, Masking | None], list[Bar]]:
    """Time one client's masking and, with one dropout, the server's unmasking."""
    ours, missing = time_ours(dimension, clients, repeats), why_not_flower()
    flower = None if missing else time_flower(dimension, clients, repeats)
    bars = []
    for name, part, least in (("client masking", "client", 5.0), ("server unmasking", "server", 40.0)):
        name = f"{name}, n = {clients}, d = {dimension}, times faster than Flower"
        if missing:
            bars.append(Bar.not_measured(name, f">= {least:.3g}", missing))
        else:
            bars.append(Bar.at_least(name, getattr(flower, part) / getattr(ours, part), least))
    bars.append(Bar.at_most("upload, bytes per coordinate", ours.bytes_per_coordinate, 4.0))
    return {"ours": ours, "flower": flower}, bars


def why_not_flower() -> str | None:
    """Return what keeps Flower from being measured, if anything."""
    try:
        found = version("flwr")
    except PackageNotFoundError:
        return f"flwr not installed: pip install 'flwr=={FLOWER}.*'"
    if not found.startswith(f"{FLOWER}."):
        return f"flwr {found} installed, {FLOWER} was read: pip install 'flwr=={FLOWER}.*'"
    return None


def time_ours(dimension: int, clients: int, repeats: int) -> Masking:
    """Time a client's masking, and the last stage of whole rounds of the protocol."""
    rounds = SecureRounds(provision(clients, 0.1, 0.1), dimension)
    vectors = dict.fromkeys(rounds.names, np.arange(dimension, dtype=np.uint32))
    runs = [rounds.run(vectors, dropped=rounds.names[:1]) for _ in range(repeats)]
    server = min(run[Stage.UNMASK].server for run in runs)
    sent = max(runs[0][Stage.MASK_INPUT].sent) - HEADER.size
    # As often as Flower's masking is timed: once for each client that stays.
    client = best_of(clients - 1, masking_work(dimension, rounds.names))[0]
    return Masking(client, server, sent / dimension)


def masking_work(dimension: int, names: list[str]) -> Callable[[], np.ndarray]:
    """Return the work of masking the vector of a client in the middle of the roster, public keys being known."""
    keys, context, vector = OperatingSystemKeys(), bytes(32), np.zeros(dimension, np.uint32)
    pairs = {name: KeyPair.generate(keys.stream(name, 0, 0, "mask")) for name in names}
    client = names[len(names) // 2]
    own, secret = pairs.pop(client), keys.stream(client, 0, 0, "self mask").bytes(32)

    def work() -> np.ndarray:
        masked = vector.copy()
        shared = {name: pairwise_key(own, pair.public, client, name, context) for name, pair in pairs.items()}
        added = [self_key(secret, client, context), *(key for name, key in shared.items() if name > client)]
        add_keystreams(masked, added, [key for name, key in shared.items() if name < client])
        return masked

    return work


def time_flower(dimension: int, clients: int, repeats: int) -> Masking:
    """Time Flower's functions; every client masks, so that the unmasked sum can be checked.

    Raises:
        RuntimeError: If that sum is wrong: the functions would be called the wrong way.
    """
    from benchmarks import flower_masks

    parties = [flower_masks.FlowerClient.make() for _ in range(clients)]
    threshold = safe_threshold(clients, provision(clients, 0.1, 0.1).colluders)
    dealt = [party.deal(threshold, clients) for party in parties]
    # The first drops out: the others give their shares of its private key, and of the seeds of those who are left.
    shares = {owner: (deal.private_key if owner == 0 else deal.seed)[1:] for owner, deal in enumerate(dealt)}
    vector = np.arange(dimension, dtype=np.int32)
    masked = [timed(flower_masks.mask, number, parties, vector) for number in range(1, clients)]
    total = flower_masks.add_up([arrays for arrays, _ in masked])
    runs = [timed(flower_masks.unmask, total, parties, shares, {0}) for _ in range(repeats)]
    if not np.array_equal(runs[0][0], vector.astype(np.int64) * (clients - 1) % flower_masks.MODULUS):
        raise RuntimeError("Flower's functions give another sum: they are called the wrong way.")
    sent = flower_masks.upload_bytes(masked[0][0])
    return Masking(min(seconds for _, seconds in masked), min(seconds for _, seconds in runs), sent / dimension)
