"""The server's record of every attempt and every released round: on disk before a device is asked or a sum exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from federation.privacy.accountant import Release
from federation.privacy.chain import GENESIS, HashChain, Values

LEDGER = "privacy_ledger.jsonl"
"""In the folder of a run."""
HEAD_NOTE, RELEASED_NOTE = "ledger_head", "ledger_released"
"""Notes of a run: the newest line, which its checkpoints remember, and the newest release, which devices are told."""
_FIELDS = ("round", "attempt", "noise_multiplier", "sample_rate")


@dataclass(frozen=True)
class Entry:
    """One charged release; a round that was tried again, or released and thrown away, has one for each time."""

    round: int
    attempt: int
    noise_multiplier: float
    sample_rate: float
    notes: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Release(self.noise_multiplier, self.sample_rate)
        for name in ("round", "attempt"):
            if not isinstance(value := getattr(self, name), int) or value < 0:
                raise ValueError(f"The {name} of a ledger's entry must be a whole number of at least 0. Got {value}.")
        if clash := {"event", "previous", *_FIELDS} & self.notes.keys():
            raise ValueError(f"A ledger note cannot be named {', '.join(sorted(clash))}.")

    @property
    def release(self) -> Release:
        """Return what the accountant counts."""
        return Release(self.noise_multiplier, self.sample_rate)

    @property
    def values(self) -> dict[str, object]:
        """Return the entry as its line holds it."""
        return {"event": "release", **{name: getattr(self, name) for name in _FIELDS}, **self.notes}


class Ledger:
    """A hash chain of two kinds of lines: an attempt begun, which costs nothing, and a release, which is charged.

    An attempt is charged when its first Unmask request is about to be sent; one that was aborted earlier stays
    uncharged. Lines beyond the head that a checkpoint remembers are what happened before a crash: they stay charged.
    """

    def __init__(self, path: str | Path, head: str | None = None) -> None:
        """Open or begin a ledger.

        Args:
            path: The file; made, with its folder, at the first line.
            head: The head some checkpoint remembers; the ledger must contain it.

        Raises:
            ValueError: If the chain is broken, a line is incomplete or no entry, or `head` is not in it.
        """
        self._chain = HashChain(path, head)
        self.entries: list[Entry] = []
        self._begun: dict[int, int] = {}
        for number, values in enumerate(self._chain.lines, start=1):
            try:
                self._take_over(values)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"Line {number} of the privacy ledger {path} is no entry: {error}.") from error

    @property
    def head(self) -> str:
        """Return the SHA-256 of the last line, hexadecimal."""
        return self._chain.head

    @property
    def released(self) -> str:
        """Return the SHA-256 of the last release's line, hexadecimal: unlike the head it moves by charges only."""
        lines = zip(self._chain.heads, self._chain.lines, strict=True)
        return next((head for head, line in reversed(list(lines)) if line["event"] == "release"), GENESIS)

    @property
    def releases(self) -> list[Release]:
        """Return all charged rounds for the accountant."""
        return [entry.release for entry in self.entries]

    def next_attempt(self, round: int) -> int:
        """Return the least attempt number above all that were begun or charged for this round."""
        return self._begun.get(round, -1) + 1

    def begin(self, round: int) -> int:
        """Record a new attempt and return its number: on disk before anybody is told, so that none is ever used twice.

        A number used twice would give two attempts the same keys, and their difference would show what changed.
        """
        values = {"event": "attempt", "round": int(round), "attempt": self.next_attempt(round)}
        self._chain.append(values)
        return self._take_over(values)

    def charge(self, round: int, attempt: int, noise_multiplier: float, sample_rate: float, **notes: object) -> Entry:
        """Record a release as spent; when this returns, the line is on disk. Call it before the sum can be formed.

        Raises:
            ValueError: If a number is out of range, the attempt is older than one that was begun or is charged
                already, or the file changed since it was opened.
        """
        entry = self._new_entry(round, attempt, noise_multiplier, sample_rate, notes)
        self._chain.append(entry.values)
        self._take_over(entry.values)
        return entry

    def _new_entry(self, round: int, attempt: int, noise_multiplier: float, sample_rate: float, notes: Values) -> Entry:
        entry = Entry(int(round), int(attempt), float(noise_multiplier), float(sample_rate), notes)
        latest = self._begun.get(entry.round, 0)
        charged = any((e.round, e.attempt) == (entry.round, entry.attempt) for e in self.entries)
        if charged or entry.attempt < latest:
            raise ValueError(
                f"Only the newest attempt at a round can be charged, and once. Got attempt {attempt} of round {round}, "
                f"where {'it is charged already' if charged else f'attempt {latest} has begun'}. Begin a new attempt."
            )
        return entry

    def _take_over(self, values: Values) -> int:
        """Count a line that is on disk; return its attempt."""
        if values["event"] == "release":
            numbers = {name: values[name] for name in _FIELDS}
            notes = {name: value for name, value in values.items() if name not in {"event", *_FIELDS}}
            self.entries.append(Entry(**numbers, notes=notes))
        elif values["event"] != "attempt":
            raise ValueError(f"an event is `attempt` or `release`, not {values['event']}")
        round, attempt = int(values["round"]), int(values["attempt"])
        self._begun[round] = max(attempt, self._begun.get(round, -1))
        return attempt
