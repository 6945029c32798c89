"""What leaves a client: bytes that look random, add up exactly, and say nothing by their number, size or time."""

from __future__ import annotations

from collections import Counter

import numpy as np

from federation.key_source import KeySource
from federation.key_stream import KeyStream
from federation.privacy.audit.draws import draw_directions
from federation.privacy.audit.exchange import STAGES
from federation.privacy.audit.system import VECTOR, System, Transcript
from federation.privacy.audit.verdict import Verdict, at_least, at_most, none_of
from federation.secure_aggregation.framing import HEADER

WATCHED = 3
"""Clients whose bytes are looked at."""


class CountingStream(KeyStream):
    """Passes a stream on and counts the bytes that are drawn."""

    def __init__(self, stream: KeyStream, counts: Counter[str], client: str) -> None:
        self._stream, self._counts, self._client = stream, counts, client

    def fill(self, out: np.ndarray) -> None:
        """Fill an array from the stream behind."""
        self._counts[self._client] += out.nbytes
        self._stream.fill(out)


class CountingKeys(KeySource):
    """Counts how many bytes of randomness each client uses up: a clock that runs the same on every machine."""

    def __init__(self, keys: KeySource) -> None:
        self.keys, self.drawn = keys, Counter()

    def stream(self, client: str, round: int, attempt: int, purpose: str) -> KeyStream:
        """Return the stream of the source behind, counted."""
        return CountingStream(self.keys.stream(client, round, attempt, purpose), self.drawn, client)


def check_uniform(system: System) -> Verdict:
    """Look at what equal vectors are sent as, and at its differences between clients and rounds (chi-square)."""
    fresh = system.under()
    first, second = (_vectors(fresh.run_round(round, {}, drops={})) for round in range(2))
    seen = [*first, *second, *(first - second), first[0] - first[1], first[1] - first[2]]
    least = min(least_p(words) for words in seen)
    return at_least("sent vectors look random", least, 1e-6, f"chi-square p of {4 * len(seen)} byte lanes")


def least_p(words: np.ndarray) -> float:
    """Return the least chi-square p over the four byte lanes of uint32 words."""
    from scipy.stats import chisquare

    lanes = np.ascontiguousarray(words.astype("<u4")).view(np.uint8).reshape(-1, 4)
    return min(float(chisquare(np.bincount(lane, minlength=256)).pvalue) for lane in lanes.T)


def _vectors(transcript: Transcript) -> np.ndarray:
    """Return the sent vectors of some clients, uint32, shape (WATCHED, D)."""
    sent = [np.frombuffer(messages[VECTOR], np.uint32, offset=HEADER.size) for messages in transcript.messages.values()]
    return np.array(sent[:WATCHED])


def check_exact(system: System, rounds: int = 4) -> Verdict:
    """Compare the unmasked sum with the sum of what was encoded and added, clients dropping out at random stages."""
    stream = system.keys.stream("auditor", 0, 0, "exact")
    wrong = 0
    fresh = system.under()
    terms = system.terms
    for round in range(rounds):
        directions = draw_directions(stream, terms.clients, terms.dimension) * terms.clip_norm
        stages = stream.integers_below(len(STAGES), len(terms.dropped))
        drops = {client: STAGES[int(stage)] for client, stage in zip(terms.dropped, stages, strict=True)}
        transcript = fresh.run_round(round, dict(zip(terms.names, directions, strict=True)), drops)
        true = sum(transcript.encoded[client] + transcript.noise[client] for client in transcript.encoded)
        wrong += int(np.count_nonzero(transcript.total != true))
    detail = f"{rounds} rounds, {len(terms.dropped)} dropouts each at random stages, bit for bit"
    return at_most("the unmasked sum is exact", wrong, 0.0, detail)


def check_silence(system: System) -> Verdict:
    """Run a round twice with the same keys and other data, some of it broken: only masked vectors may differ."""
    terms, stream = system.terms, system.keys.stream("auditor", 0, 0, "silence")
    directions = draw_directions(stream, terms.clients, terms.dimension)
    loud = dict(zip(terms.names, directions * terms.clip_norm, strict=True))
    failed = dict.fromkeys(terms.names[::2])
    runs = []
    for vectors in (loud, loud | failed):
        keys = CountingKeys(system.keys)
        transcript = type(system)(terms, keys).run_round(0, vectors, drops={})
        runs.append((transcript.messages, {client: keys.drawn[client] for client in terms.names}))
    return none_of("only masked vectors depend on data", _told_apart(*runs), "messages, sizes and work of two rounds")


def _told_apart(one: tuple[dict, dict], other: tuple[dict, dict]) -> list[str]:
    """Return in what two rounds, or two clients of a round, can be told apart without reading a masked vector."""
    (said, worked), (said_else, worked_else) = one, other
    reference = next(iter(said))
    found = []
    for client, messages in said.items():
        sizes = {kind: len(content) for kind, content in messages.items()}
        if sizes != {kind: len(content) for kind, content in said[reference].items()}:
            found.append(f"{client} sends other kinds or sizes than {reference}")
        kinds = sorted((messages.keys() | said_else[client].keys()) - {VECTOR})
        different = [kind for kind in kinds if messages.get(kind) != said_else[client].get(kind)]
        found += [f"{client}'s {kind} depends on its data" for kind in different]
        if not worked[client] == worked_else[client] == worked[reference]:
            found.append(f"the work of {client} depends on its data")
    return found
