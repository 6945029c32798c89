"""A client's own record of what it has answered for, on its own device: it believes no server about its budget."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.privacy.accountant import Epsilon, Release, demand_delta, epsilon_after
from federation.privacy.chain import HashChain
from federation.privacy.owner import OwnerRefusalError
from federation.secure_aggregation.framing import digest
from federation.secure_aggregation.thresholds import Adversary


@dataclass(frozen=True)
class Answer:
    """What a device is about to give away in one attempt at one round of one session."""

    session: str
    """Session id, hexadecimal."""
    round: int
    attempt: int
    noise_multiplier: float
    sample_rate: float
    """q under `hidden` sampling; 1 where it is visible that this client takes part."""
    server_head: str = ""
    """Last release in the server's ledger, by the signed context of this attempt; empty where there is no ledger."""
    adversary: Adversary = "active"
    """What the server of this session may do besides looking."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Return what tells this attempt from every other."""
        return self.session, self.round, self.attempt

    @property
    def release(self) -> Release:
        """Return what the accountant counts."""
        return Release(self.noise_multiplier, self.sample_rate)


class DeviceLedger:
    """Counts one person's data set over all sessions, servers and configurations, and refuses past the owner's limit.

    `reserve` comes before a masked input is sent, `charge` before an Unmask request is answered. A reservation that
    is never charged still counts against an active server, which may have asked everybody *else* to unmask; in a
    session that was `honest_but_curious` an aborted attempt costs nothing. No figure here depends on the client's
    coins, so a refusal tells nothing about them.

    The guarantee does not hold if the owner's data is also used under another key, or an older state of the file
    is put back. Sessions are added up as if fixed in advance: z and q must not be chosen by looking at private results.

    Args:
        path: The ledger of one (person, data set); see `device_ledger_path`.
        allowed_epsilon: What the owner allows in total; infinity only counts.
        delta: At which the total is computed.
        earlier: Further ledgers of the same person and data set, kept under other names; counted, never written to.
    """

    def __init__(
        self,
        path: str | Path,
        allowed_epsilon: float,
        delta: float,
        *,
        earlier: Iterable[Path] = (),
    ) -> None:
        demand_delta(delta)
        if not allowed_epsilon > 0:
            raise ValueError(f"What an owner allows must be an epsilon above 0. Got {allowed_epsilon}.")
        self.allowed_epsilon, self.delta = allowed_epsilon, delta
        self._chain = HashChain(path)
        self._reserved: dict[tuple[str, int, int], Answer] = {}
        self._charged: dict[tuple[str, int, int], Answer] = {}
        for chain in [*map(HashChain, earlier), self._chain]:
            for number, values in enumerate(chain.lines, start=1):
                try:
                    self._take_over(values)
                except (KeyError, TypeError, ValueError) as error:
                    message = f"Line {number} of the privacy ledger {chain.path} is no entry: {error}."
                    raise ValueError(message) from error

    def epsilon(self, *further: Answer) -> Epsilon:
        """Return the owner's total, coins secret; `further` asks what it would be after more answers."""
        kept = {key: answer for key, answer in self._reserved.items() if answer.adversary == "active"}
        counted = kept | self._charged | {answer.key: answer for answer in further}
        return epsilon_after([answer.release for answer in counted.values()], self.delta)

    def newest(self, session: str) -> tuple[int, int] | None:
        """Return round and attempt of the latest answer in a session, None if it has none."""
        return max((key[1:] for key in self._reserved | self._charged if key[0] == session), default=None)

    def demand_room(self, answer: Answer) -> None:
        """Raise OwnerRefusalError where `reserve` would; nothing is recorded."""
        self._demand_moved(answer)
        self._demand_allowed(answer, self._reserved | self._charged)

    def reserve(self, answer: Answer) -> None:
        """Record, before anything is sent, that this attempt may be released; the same one again changes nothing.

        Raises:
            OwnerRefusalError: If the owner's total would exceed what is allowed, or the server's ledger does not
                count a round that this device has answered for.
        """
        self._demand_moved(answer)
        self._record("reserve", answer, self._reserved | self._charged)

    def charge(self, answer: Answer) -> None:
        """Record, before an Unmask request is answered, that this attempt is released; a repeated one is paid once.

        Raises:
            OwnerRefusalError: If the owner's total would exceed what is allowed.
        """
        self._record("charge", answer, self._charged)

    def _record(self, event: str, answer: Answer, known: Mapping[tuple[str, int, int], Answer]) -> None:
        if not self._demand_allowed(answer, known):
            return
        values = {"event": event, **vars(answer)}
        self._chain.append(values)
        self._take_over(values)

    def _demand_allowed(self, answer: Answer, known: Mapping[tuple[str, int, int], Answer]) -> bool:
        """Raise OwnerRefusalError where an answer costs too much, or else than it did; return whether it is new."""
        if answer.key in known:
            if known[answer.key] != answer:
                raise OwnerRefusalError(
                    f"Attempt {answer.attempt} at round {answer.round + 1} must cost what it did. Got other figures."
                )
            return False
        spent = self.epsilon(answer).value if self.allowed_epsilon < float("inf") else 0.0
        if spent > self.allowed_epsilon:
            raise OwnerRefusalError(
                f"Round {answer.round + 1} would bring this device to epsilon {spent:.2f} in all, and its owner allows "
                f"{self.allowed_epsilon:g}. The owner can allow more."
            )
        return True

    def _demand_moved(self, answer: Answer) -> None:
        """Refuse a server that has counted no release since one that this device answered for, or took it back."""
        for past in self._charged.values():
            same = (past.session, past.server_head) == (answer.session, answer.server_head)
            if answer.server_head and same and past.key != answer.key:
                raise OwnerRefusalError(
                    f"The server's ledger must hold the release of round {past.round + 1}, which this device answered "
                    "for. Got the same head as before it: it was not counted, or the ledger was put back."
                )

    def _take_over(self, values: Mapping[str, object]) -> None:
        """Count a line that is on disk."""
        fields = {name: value for name, value in values.items() if name != "event"}
        answer = Answer(**fields)
        if answer.adversary not in ("active", "honest_but_curious"):
            raise ValueError(f"no server is {answer.adversary}")
        _ = answer.release  # raises where a figure is out of range
        {"reserve": self._reserved, "charge": self._charged}[values["event"]][answer.key] = answer


def device_ledger_path(folder: str | Path, person: str, data_set: str) -> Path:
    """Return the file of one (person, data set): the name for the eye, the hash to keep any two apart."""
    name = digest(person.encode(), data_set.encode()).hex()
    return Path(folder) / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', person)[:40]}-{name[:16]}.jsonl"
