"""What lies in a run's folder for all to see, and what must not be in it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from federation.privacy.audit.run_folder import DEVICES, RunFolder
from federation.privacy.audit.verdict import Verdict, none_of
from federation.privacy.card import CARD
from federation.privacy.clip_norm import STEPS_NOTE

SERVER_TENSORS = {"global_adapter", "velocity"}
WINDOW = 16
"""Consecutive numbers of a private tensor that must not be found anywhere else."""


def check_server_part(run: RunFolder) -> Verdict:
    """Look for identity adapters, embeddings and anything else of one client in the server's part of the folder."""
    from safetensors import safe_open

    wrong = []
    with safe_open(run.newest / "server.safetensors", framework="numpy") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    wrong += [f"the server's state holds `{name}`" for name in sorted(shapes.keys() - SERVER_TENSORS)]
    wrong += [f"`{name}` has another size" for name, shape in shapes.items() if shape != shapes["global_adapter"]]
    wrong += [f"server.json notes numbers: `{name}`" for name in _vectors_in(run.server) if not _is_released(run, name)]
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
        if path.is_file() and not {"clients", DEVICES, "local", "audit"} & set(parts):
            yield path


def _private_windows(path: Path) -> Iterator[bytes]:
    """Yield a run of numbers from each tensor of a client's state that says something: not all the same."""
    from safetensors.numpy import load_file

    for tensor in load_file(path).values():
        rows = tensor.ravel()[: tensor.size // WINDOW * WINDOW].reshape(-1, WINDOW)
        telling = [row for row in rows if len(np.unique(row)) > WINDOW // 2]
        if telling:
            yield telling[0].tobytes()


def _is_released(run: RunFolder, name: str) -> bool:
    """Whether numbers are the steps of a moving clip norm: for each round a noisy sum of bits, and a count."""
    steps = run.server["notes"].get(STEPS_NOTE, [])
    is_whole = len(steps) == run.server["rounds_done"] and all(len(step) == 2 for step in steps)
    return name == f"notes.{STEPS_NOTE}" and run.clipping.adaptive and is_whole


def _vectors_in(value: object, name: str = "") -> list[str]:
    """Return the names of lists of numbers in JSON values."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in _vectors_in(part, f"{name}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [name] if any(isinstance(part, (int, float, list)) for part in value) else []
    return []
