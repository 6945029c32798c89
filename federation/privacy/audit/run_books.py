"""The books of a run: what the server's ledger, the clients' own and the card say must be one story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from federation.privacy.accountant import Release, epsilon_after, epsilon_with_known_coins
from federation.privacy.audit.run_folder import DEVICES, RunFolder
from federation.privacy.audit.verdict import Verdict, none_of
from federation.privacy.chain import HashChain
from federation.privacy.ledger import Ledger

Attempt = tuple[int, int]
"""Round, and attempt at it."""


def check_releases(run: RunFolder, ledger: Ledger) -> Verdict:
    """Compare the ledger with the rounds that were released and with the settings."""
    done = int(run.server["rounds_done"])
    charged = {entry.round for entry in ledger.entries}
    rate = run.federation.effective_sample_rate
    wrong = [f"round {round + 1} was released and not charged" for round in range(done) if round not in charged]
    for number, entry in enumerate(ledger.entries, start=1):
        if entry.noise_multiplier > run.noise_multiplier * (1 + 1e-4):
            wrong.append(f"line {number} counts on noise {entry.noise_multiplier:.4g}, not {run.noise_multiplier:.4g}")
        if entry.sample_rate < rate:
            wrong.append(f"line {number} counts a sample rate of {entry.sample_rate:g}, not {rate:g}")
    return none_of("every released round is charged in full", wrong, f"{done} rounds, {len(ledger.entries)} charged")


def check_devices(run: RunFolder, ledger: Ledger) -> Verdict:
    """Compare each client's own ledger in `run.devices` with the server's: nobody paid for less than was released.

    A client that was not drawn, or whose owner refused, has no line; there are no more of them than the release counts
    as missing.
    """
    paths = sorted(run.devices.glob("*.jsonl"))
    wrong = []
    lacking = Counter[Attempt]()
    if len(paths) != run.clients:
        wrong.append(f"{len(paths)} of {run.clients} clients keep a ledger in {DEVICES}/")
    for path in paths:
        try:
            paid = _payments(path)
        except (KeyError, TypeError, ValueError) as error:
            wrong.append(f"{path.name} cannot be read: {error}")
            continue
        for entry in ledger.entries:
            attempt = (entry.round, entry.attempt)
            if attempt not in paid:
                lacking[attempt] += 1
            elif _is_less(paid[attempt], entry.release):
                wrong.append(f"{path.name} paid less for round {entry.round + 1} than was released")
    for entry in ledger.entries:
        missing = run.clients - int(entry.notes.get("survivors", run.clients))
        if lacking[entry.round, entry.attempt] > missing:
            count = lacking[entry.round, entry.attempt] - missing
            wrong.append(f"{count} ledgers lack attempt {entry.attempt} of round {entry.round + 1}")
    return none_of("every client's own ledger covers the releases", wrong, f"{len(paths)} ledgers")


def _payments(path: Path) -> Mapping[Attempt, Release]:
    """Return what a client has charged itself; raises ValueError where the file is no ledger."""
    lines = (line for line in HashChain(path).lines if line["event"] == "charge")
    return {(line["round"], line["attempt"]): Release(line["noise_multiplier"], line["sample_rate"]) for line in lines}


def _is_less(paid: Release, released: Release) -> bool:
    """Whether a client counted more noise or a lower rate than the server did."""
    return paid.noise_multiplier > released.noise_multiplier or paid.sample_rate < released.sample_rate


def check_claims(run: RunFolder, ledger: Ledger) -> Verdict:
    """Compute each epsilon on the card from the ledger again; a claim is rounded up to a hundredth."""
    delta = run.privacy.delta
    wrong = []
    true = {"epsilon, coins known": epsilon_with_known_coins(ledger.releases, delta, run.clients).value}
    if run.federation.sampling != "visible":
        true["epsilon, coins secret"] = epsilon_after(ledger.releases, delta).value
    elif any(name.startswith("epsilon, coins secret") for name in run.rows):
        wrong.append("coins are visible, yet an epsilon is claimed as if they were secret")
    for row, value in true.items():
        claimed = run.number(row)
        if not value - 1e-9 <= claimed <= value + 0.0101:
            wrong.append(f"{row}: {claimed:g} is claimed, {value:.4f} is spent")
    return none_of("the card claims what the ledger spent", wrong, ", ".join(f"{v:.4g}" for v in true.values()))
