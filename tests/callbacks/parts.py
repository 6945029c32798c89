"""Rounds without training: states, updates, and a cohort that goes through a pipeline in this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, OwnerArgs, PrivacyArgs, SecurityArgs
from federation.hooks import FederationCallback
from federation.key_source import SeededKeys
from federation.update import Aggregate, ClientSignals, ClientUpdate, RoundState
from pipeline import build_pipeline

CLIENTS = ("ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hal")
DIMENSION = 50
FIXED = ClippingArgs()


def make_state(
    index: int = 0, clients: Sequence[str] = CLIENTS, clip_norm: float = 1.0, clipping: ClippingArgs = FIXED
) -> RoundState:
    """Return a round of one device: what it sends to everybody is all there is."""
    return RoundState(
        index=index,
        clients=tuple(clients),
        global_adapter=torch.zeros(DIMENSION),
        clip_norm=clip_norm,
        exchange=dict,
        load_adapters=lambda client: None,
        clipping=clipping,
    )


def make_updates(clients: Iterable[str] = CLIENTS, scale: float = 0.05) -> list[ClientUpdate]:
    """Return unequal clients: every one has its own delta, amount of data and scores."""
    generator = torch.Generator().manual_seed(3)
    return [
        ClientUpdate(
            client,
            delta=scale * torch.randn(DIMENSION, generator=generator),
            num_examples=60 * (1 + position),
            signals=ClientSignals(identity=0.3 + 0.05 * position, stability=0.9 - 0.1 * position),
        )
        for position, client in enumerate(clients)
    ]


def make_pipeline(out_dir: Path, seed: int = 0, clients: int = len(CLIENTS), **settings: object) -> list:
    """Return `pipeline.build_pipeline`'s pipeline with seeded keys; settings go to the args that know them."""
    args = []
    for kind in (PrivacyArgs, FederationArgs, AggregationArgs, SecurityArgs, ClippingArgs, OwnerArgs):
        names = kind.__dataclass_fields__.keys() & settings.keys()
        args.append(kind(**{name: settings[name] for name in names}))
    *agreed, owner = args
    return build_pipeline(SeededKeys(seed), AgreedSettings(*agreed), owner, clients=clients, out_dir=out_dir)


def call(pipeline: Iterable[FederationCallback], hook: str, *args: object) -> None:
    """Call a hook of every step."""
    for step in pipeline:
        getattr(step, hook)(*args)


def send(pipeline: Sequence[FederationCallback], state: RoundState, updates: list[ClientUpdate]) -> None:
    """Take updates through the client half, from the start of a run."""
    call(pipeline, "on_run_start", state)
    call(pipeline, "on_round_start", state)
    for update in updates:
        call(pipeline, "on_client_update", state, update)
    call(pipeline, "on_cohort_ready", state, updates)


def add_up(updates: Sequence[ClientUpdate]) -> np.ndarray:
    """Return what the server can see: the sum of the wires, residues modulo 2^32 or plain numbers."""
    wires = [update.vector if update.wire is None else update.wire for update in updates]
    return np.add.reduce(wires, dtype=wires[0].dtype)


def receive(pipeline: Sequence[FederationCallback], state: RoundState, updates: list[ClientUpdate]) -> Aggregate:
    """Add up what was sent and take it through the server half."""
    call(pipeline, "on_release", state)
    aggregate = Aggregate(add_up(updates), num_clients=len(updates))
    if updates[0].wire is None:
        aggregate.vector = aggregate.wire
    call(reversed(pipeline), "on_aggregate", state, aggregate)
    return aggregate
