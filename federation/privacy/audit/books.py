"""What is charged is what was spent: every round, at the rate the coins really have, in a ledger that cannot forget."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

from federation.privacy.accountant import Release
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most, none_of


def check_charges(system: System, rounds: int = 4) -> Verdict:
    """Release rounds and ask what was charged: each at no more noise and no lower rate than promised."""
    short = system.under(dimension=min(64, system.terms.dimension))
    charged = [short.run_round(round, {}, masked=False).charged for round in range(rounds)]
    wrong = [f"round {round}: {release}" for round, release in enumerate(charged) if not _covers(system, release)]
    return none_of("a release charges its noise and rate", wrong, f"{rounds} rounds")


def _covers(system: System, charged: Release | None) -> bool:
    promised = system.terms.noise_multiplier, system.terms.sample_rate
    return charged is not None and charged.noise_multiplier <= promised[0] and charged.sample_rate >= promised[1]


def check_coins(system: System, tosses: int = 4_000) -> Verdict:
    """Toss coins and compare how often data is in with the rate that is charged, in standard errors."""
    charged = system.charge(0)
    rate = charged.sample_rate if charged else 0.0
    names = system.terms.names
    heads = sum(system.contributes(names[toss % len(names)], toss) for toss in range(tosses))
    excess = (heads - tosses * rate) / math.sqrt(max(rate * (1 - rate), 1e-12) * tosses)
    return at_most("coins fall as often as charged", excess, 5.0, f"{heads} of {tosses} tosses")


def check_rollback(system: System, rounds: int = 4) -> Verdict:
    """Cut rounds off a ledger behind a checkpoint's back, in every way, and open it again: it must be refused."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        ledger = system.open_ledger(path, None)
        for round in range(rounds):
            ledger.charge(round, 0, 1.0, 0.5)
        lines = path.read_bytes().splitlines(keepends=True)
        accepted = []
        for kept in range(rounds):
            path.write_bytes(b"".join(lines[:kept]))
            try:
                system.open_ledger(path, ledger.head)
                accepted.append(f"{kept} of {rounds} rounds accepted")
            except ValueError:
                pass
    return none_of("a rolled-back ledger is refused", accepted, f"cut in {rounds} ways")
