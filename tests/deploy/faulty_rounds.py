"""Rounds of a server as train.py runs it, with devices that fail as told and are started anew."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Process
from pathlib import Path

import numpy as np
import torch

from federation.args import OwnerArgs
from federation.deployment.broadcast import Broadcast
from federation.deployment.nodes import Nodes
from federation.deployment.orders import Begin
from federation.deployment.patience import Patience
from federation.deployment.roster_cohort import RosterCohort
from federation.deployment.session_file import write_session
from federation.hooks import FederationCallback
from federation.key_source import SeededKeys
from federation.privacy.ledger import LEDGER
from federation.rounds import FederatedRounds
from federation.secure_aggregation.session import Session, SessionConfig
from federation.update import ClientUpdate
from federation.vectors import read_vector
from pipeline import build_pipeline
from tests.deploy.faulty_devices import (
    AGREED,
    ANSWER_SECONDS,
    CLIP_NORM,
    SEED,
    TRAINING_SECONDS,
    NoTraining,
    Script,
    make_half,
    start_device,
)
from tests.federation.secure_aggregation.parties import DIGEST, identity, make_session
from tests.tiny import TinyModule, tiny_fabric

Position = tuple[int, int]
"""Round and attempt."""


@dataclass
class Roster:
    """All that the server knows of the clients' data."""

    clients: list[str]


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@dataclass
class FaultyRounds(FederationCallback):
    """What came of rounds in which things fail; before each attempt whatever died is started anew."""

    place: Path
    session: Session
    scripts: Mapping[str, Script]
    revive: Callable[[int, int], None]
    """Called with round and attempt before it begins."""
    devices: dict[str, Process] = field(default_factory=dict)
    sums: dict[Position, tuple[tuple[str, ...], torch.Tensor, np.ndarray]] = field(default_factory=dict)
    """Of the attempts that were released: survivors, the adapter they began with, the sum."""
    lines: list[str] = field(default_factory=list)
    """What the server said."""

    def on_round_start(self, state):
        self.revive(state.index, state.attempt)
        for name, script in self.scripts.items():
            if name not in self.devices or self.devices[name].exitcode is not None:
                folder = self.place / "devices" / name
                self.devices[name] = start_device(name, self.place / "session.json", folder, script)

    def on_aggregate(self, state, aggregate):
        position = (state.index, state.attempt)
        self.sums[position] = state.survivors, state.global_adapter.clone(), aggregate.wire.copy()

    @property
    def survivors(self) -> tuple[tuple[str, ...], ...]:
        return tuple(survivors for survivors, *_ in self.sums.values())

    def updates(self, position: Position) -> dict[str, ClientUpdate | None]:
        """Return what the survivors of an attempt had trained."""
        survivors, adapter, _ = self.sums[position]
        return {name: NoTraining(name, self.scripts[name]).take(make_begin(position, adapter)) for name in survivors}

    def vectors(self, position: Position) -> dict[str, np.ndarray]:
        """Return the noised vectors of the survivors before they were masked."""
        begin = make_begin(position, self.sums[position][1])
        return {
            name: make_half(name, self.session).encode(begin, update) for name, update in self.updates(position).items()
        }

    def counted(self) -> set[Position]:
        """Return the attempts that the server's ledger has charged."""
        return read_ledger(self.place / "run" / LEDGER, "release")

    def answered(self, name: str) -> set[Position]:
        """Return the attempts that a device's ledger has charged."""
        return read_ledger(self.place / "devices" / name / "ledger.jsonl", "charge")


def make_begin(position: Position, adapter: torch.Tensor) -> Begin:
    return Begin(*position, TRAINING_SECONDS, Broadcast(CLIP_NORM, "", adapter))


def read_ledger(path: Path, event: str) -> set[Position]:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return {(entry["round"], entry["attempt"]) for entry in entries if entry.get("event") == event}


@contextmanager
def run_rounds(
    place: Path,
    nodes: Nodes,
    scripts: Mapping[str, Script],
    least: int,
    revive: Callable[[int, int], None],
    epoch_rounds: int = 1,
    answer_seconds: float = ANSWER_SECONDS,
) -> Iterator[FaultyRounds]:
    """Run all rounds and yield what came of them; in the end the devices are ended."""
    torch.manual_seed(5)
    module, names, log = TinyModule(), list(scripts), Lines()
    size = read_vector(module.shared_parameters()).numel()
    session = make_session(SessionConfig.plan(size + 1, len(names), 0, least, "active", DIGEST), names)
    write_session(place / "session.json", session)
    done = FaultyRounds(place, session, scripts, revive, lines=log.lines)
    pipeline = build_pipeline(
        SeededKeys(SEED), AGREED, OwnerArgs(), clients=len(names), out_dir=place / "run", remote=True
    )
    rounds = FederatedRounds(
        tiny_fabric(),
        module,
        Roster(names),
        AGREED,
        pipeline=[*pipeline, done],
        observers=[],
        checkpoint_dir=place / "run" / "checkpoints",
        seed=SEED,
        remote=RosterCohort(session, nodes, Patience(answer_seconds, TRAINING_SECONDS), epoch_rounds),
    )
    logging.getLogger("federation.deployment").addHandler(log)
    try:
        rounds.run()
        yield done
    finally:
        logging.getLogger("federation.deployment").removeHandler(log)
        for device in done.devices.values():
            device.kill()
            device.join()


def demand_exact(done: FaultyRounds) -> None:
    """Fail unless every sum is that of its survivors' vectors and all ledgers count it."""
    assert [index for index, _ in done.sums] == [0, 1, 2]
    assert done.sums.keys() <= done.counted()
    for position, (survivors, _, wire) in done.sums.items():
        assert np.array_equal(wire, sum(done.vectors(position).values()))
        for name in survivors:
            if done.scripts[name].get(position[0]) != "dies after upload":
                assert position in done.answered(name)
    assert all(done.answered(name) <= done.counted() for name in done.scripts)


def find_leaks(done: FaultyRounds) -> list[str]:
    """Return the files outside the devices' homes that hold an identity key, an update or a vector."""
    secrets = [identity(name).private_bytes_raw() for name in done.scripts]
    for position in done.sums:
        secrets += [vector.tobytes() for vector in done.vectors(position).values()]
        secrets += [update.delta.numpy().tobytes() for update in done.updates(position).values() if update]
    needles = [*secrets, *(secret.hex().encode() for secret in secrets)]
    return [path.name for path in public_files(done) if any(needle in path.read_bytes() for needle in needles)]


def public_files(done: FaultyRounds) -> list[Path]:
    """Return all files but those in the devices' homes."""
    return [path for path in done.place.rglob("*") if path.is_file() and "devices" not in path.parts]
