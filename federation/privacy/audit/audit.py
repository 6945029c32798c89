"""The audit of one run: its folder, the code under its terms, and attacks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from federation.key_source import SeededKeys
from federation.privacy.audit.battery import ATTACKS, PARTS, Outcome, examine_all, powerful
from federation.privacy.audit.canaries import hide_canaries
from federation.privacy.audit.one_run import CANARIES, CONFIDENCE, lower_bound
from federation.privacy.audit.run_checks import check_run
from federation.privacy.audit.run_folder import RunFolder
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most

MOST_CLIENTS = 24
"""Larger federations are audited with this many clients and the same shares of colluders and dropouts."""
COORDINATES = 4_000, 20_000
"""Least and most: shorter vectors are audited at a length at which statistics can tell, longer ones to save time."""
MOST_ROUNDS = 25
"""Longer runs are audited for this many rounds, against the claim for these."""


@dataclass(frozen=True)
class Audit:
    """All that an audit found."""

    run: RunFolder
    system: System
    """What was audited: the run's terms, cut down to the sizes above."""
    rounds: int
    folder: list[Verdict]
    whole: Verdict
    """The lower bound on epsilon over these rounds, under the run's own terms, beside the claim for them."""
    parts: list[Outcome]
    attacks: list[Outcome]

    @property
    def verdicts(self) -> list[Verdict]:
        """Return every verdict on the run itself."""
        return [*self.folder, *(outcome.verdict for outcome in (*self.parts, *self.attacks)), self.whole]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(verdict.passed for verdict in self.verdicts)


def audit_run(path: str | Path, seed: int = 0) -> Audit:
    """Audit a run; the same seed draws the same canaries, examples and noise again.

    Raises:
        ValueError: If the folder holds no private run that has ended.
    """
    run = RunFolder.open(path)
    sizes = {
        "clients": min(run.clients, MOST_CLIENTS),
        "dimension": min(max(run.dimension, COORDINATES[0]), COORDINATES[1]),
    }
    system = System(replace(run.terms, **sizes), SeededKeys(seed))
    rounds = min(int(run.server["rounds_done"]), MOST_ROUNDS)
    return Audit(
        run=run,
        system=system,
        rounds=rounds,
        folder=check_run(run),
        whole=check_whole(system, rounds),
        parts=examine_all(PARTS, system),
        attacks=examine_all(ATTACKS, powerful(system)),
    )


def check_whole(system: System, rounds: int) -> Verdict:
    """Prove as much epsilon as one can from canaries that live through a whole run under its own terms."""
    proven = lower_bound(hide_canaries(system, CANARIES, rounds), system.terms.delta)
    claimed = system.terms.claim(rounds)
    detail = f"{CANARIES} canaries, {rounds} rounds, q = {system.terms.sample_rate:g}, {CONFIDENCE:.0%} confidence"
    return at_most("no attacker proves more epsilon of this run", proven, claimed, detail)


def largest_provable() -> float:
    """Return the lower bound that an attacker reaches who guesses every canary right: claims above cannot be tested."""
    guesses = CANARIES // 2
    probability = (1 - CONFIDENCE) ** (1 / guesses)
    return math.log(probability / (1 - probability))
