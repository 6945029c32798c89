"""Checks of what a run left: the books agree with each other, and nothing private lies where it is shared."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from federation.privacy.accountant import epsilon_after, epsilon_with_known_coins
from federation.privacy.audit.run_folder import CARD, LEDGER, RunFolder
from federation.privacy.audit.verdict import Verdict, none_of
from federation.privacy.ledger import Ledger

SERVER_TENSORS = {"global_adapter", "velocity"}
WINDOW = 16
"""Consecutive numbers of a private tensor that must not be found anywhere else."""


def check_run(run: RunFolder) -> list[Verdict]:
    """Check the folder of a run; a ledger that cannot be read leaves the checks that need it out."""
    checks: list[Callable[[RunFolder], Verdict]] = [check_server_part, check_figures, check_declarations]
    try:
        ledger = Ledger(run.path / LEDGER, run.server["notes"].get("ledger_head"))
    except ValueError as error:
        return [none_of("the ledger is whole", [str(error)]), *(check(run) for check in checks)]
    whole = none_of("the ledger is whole", [], f"{len(ledger.entries)} releases, and the checkpoint's head among them")
    return [whole, check_releases(run, ledger), check_claims(run, ledger), *(check(run) for check in checks)]


def check_releases(run: RunFolder, ledger: Ledger) -> Verdict:
    """Compare the ledger with the rounds that were released and with the settings."""
    done = int(run.server["rounds_done"])
    charged = {entry.round for entry in ledger.entries}
    wrong = [f"round {round + 1} was released and not charged" for round in range(done) if round not in charged]
    for number, entry in enumerate(ledger.entries, start=1):
        if entry.noise_multiplier > run.noise_multiplier * (1 + 1e-4):
            wrong.append(f"line {number} counts on noise {entry.noise_multiplier:.4g}, not {run.noise_multiplier:.4g}")
        if entry.sample_rate < run.sample_rate:
            wrong.append(f"line {number} counts a sample rate of {entry.sample_rate:g}, not {run.sample_rate:g}")
    return none_of("every released round is charged in full", wrong, f"{done} rounds, {len(ledger.entries)} charged")


def check_claims(run: RunFolder, ledger: Ledger) -> Verdict:
    """Compute each epsilon on the card from the ledger again; a claim is rounded up to a hundredth."""
    delta, wrong = run.privacy.delta, []
    true = {"epsilon, coins known": epsilon_with_known_coins(ledger.releases, delta, run.clients).value}
    if run.federation.sampling != "visible":
        true["epsilon, coins secret"] = epsilon_after(ledger.releases, delta).value
    elif any(name.startswith("epsilon, coins secret") for name in run.rows):
        wrong.append("coins are visible, yet an epsilon is claimed as if they were secret")
    for row, value in true.items():
        claimed = run.number(row) if math.isfinite(value) else math.inf
        if not value - 1e-9 <= claimed <= value + 0.0101 and claimed != value:
            wrong.append(f"{row}: {claimed:g} is claimed, {value:.4f} is spent")
    return none_of("the card claims what the ledger spent", wrong, ", ".join(f"{v:.4g}" for v in true.values()))


def check_server_part(run: RunFolder) -> Verdict:
    """Look for identity adapters, embeddings and anything else of one client in the server's part of the folder."""
    from safetensors import safe_open

    wrong = []
    with safe_open(run.newest / "server.safetensors", framework="numpy") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    wrong += [f"the server's state holds `{name}`" for name in sorted(shapes.keys() - SERVER_TENSORS)]
    wrong += [f"`{name}` has another size" for name, shape in shapes.items() if shape != shapes["global_adapter"]]
    wrong += [f"server.json notes numbers: `{name}`" for name in _vectors_in(run.server)]
    shared = {path: path.read_bytes() for path in _shared_files(run)}
    for path in sorted(run.newest.glob("clients/*/state.safetensors")):
        for window in _private_windows(path):
            found = (where.name for where, held in shared.items() if window in held)
            wrong += [f"{name} holds numbers of {path.parent.name}'s" for name in found]
    return none_of("the server's part holds nothing of one client", wrong, f"{len(shared)} files searched")


def check_figures(run: RunFolder) -> Verdict:
    """Read the tags of both tables of figures, and look for local ones in the events that are released."""
    wrong, count = [], 0
    for kind, path in (("released", run.path / "metrics.csv"), ("local", run.path / "local" / "metrics.csv")):
        rows = list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []
        tags = {row.get("tag") or "" for row in rows}
        strangers = sorted(tag for tag in tags if not tag.startswith(f"{kind}/"))
        wrong += [f"{path.relative_to(run.path)} holds `{tag}`" for tag in strangers]
        count += len(tags)
    events = (path for path in run.path.glob("released/events*") if b"local/" in path.read_bytes())
    wrong += [f"{path.relative_to(run.path)} holds local figures" for path in events]
    return none_of("figures are released or local, never both", wrong, f"{count} tags")


def check_declarations(run: RunFolder) -> Verdict:
    """Ask whether the card says what weakens its own claims: seeded keys, a simulation, visible sampling."""
    wrong = []
    if (run.privacy.key_source == "seeded") != ("SEEDED KEYS PROTECT NOBODY" in run.card):
        wrong.append(f"keys were {run.privacy.key_source}, and {CARD} says otherwise")
    if any(run.newest.glob("clients/*")) and "Simulation:" not in run.card:
        wrong.append(f"one machine held all clients, and {CARD} does not say so")
    return none_of("the card says what weakens it", wrong, f"keys: {run.privacy.key_source}")


def _shared_files(run: RunFolder) -> Iterator[Path]:
    """Yield the files that a deployment's server would hold or publish."""
    for path in sorted(run.path.rglob("*")):
        parts = path.relative_to(run.path).parts
        if path.is_file() and not {"clients", "local", "audit"} & set(parts):
            yield path


def _private_windows(path: Path) -> Iterator[bytes]:
    """Yield a run of numbers from each tensor of a client's state that says something: not all the same."""
    from safetensors.numpy import load_file

    for tensor in load_file(path).values():
        rows = tensor.ravel()[: tensor.size // WINDOW * WINDOW].reshape(-1, WINDOW)
        telling = [row for row in rows if len(np.unique(row)) > WINDOW // 2]
        if telling:
            yield telling[0].tobytes()


def _vectors_in(value: object, name: str = "") -> list[str]:
    """Return the names of lists of numbers in JSON values."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in _vectors_in(part, f"{name}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [name] if any(isinstance(part, (int, float, list)) for part in value) else []
    return []
