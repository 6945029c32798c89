"""Devices with the real pipeline in one process: a clock that is set by hand, and trainers that fail as told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np
import torch

from callbacks.clipping import ClipUpdate
from callbacks.isfa import ISFAAggregation
from callbacks.noise import DistributedNoise
from callbacks.sampling import HiddenSampling
from federation.args import AggregationArgs, ClippingArgs, SecurityArgs
from federation.deployment.attempt import RemoteAttempt
from federation.deployment.broadcast import Broadcast
from federation.deployment.client_half import ClientHalf
from federation.deployment.clock import Clock
from federation.deployment.device import Device
from federation.deployment.device_books import DeviceBooks
from federation.deployment.local_training import LocalTraining
from federation.deployment.orders import Begin
from federation.deployment.patience import Patience
from federation.deployment.signed_norm import SignedNorm
from federation.deployment.trainer import Trainer, decode_update
from federation.key_source import KeySource, OperatingSystemKeys
from federation.privacy.accountant import Release
from federation.privacy.device_ledger import DeviceLedger
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.session import Session
from federation.update import ClientSignals, ClientUpdate
from tests.federation.secure_aggregation.parties import identity, make_names, make_session, plan

SIZE, CLIP_NORM, ROUNDS, TRAINING = 6, 1.0, 5, 40.0
SECURITY = SecurityArgs(colluding_share=0.1, dropout_share=0.4)
Fate = Literal["done", "late", "crashed"]


class AtOnce(Trainer):
    """Trains in this process, when it is told to."""

    def __init__(self, training: LocalTraining) -> None:
        self.training = training

    def start(self, begin):
        self.content = self.training.run(begin.encode())

    def take(self, begin):
        return decode_update(self.content, self.training.client, begin)


class HandClock(Clock):
    """Time stands still unless somebody sleeps; remembers when sleepers woke."""

    def __init__(self) -> None:
        self.time, self.woken = 0.0, []

    def now(self) -> float:
        return self.time

    def sleep_until(self, moment: float, unless: Event | None = None) -> None:
        self.time = max(self.time, moment)
        self.woken.append(moment)


@dataclass
class FatedTrainer(Trainer):
    """Has an update ready, or never."""

    client: str
    fate: Fate = "done"
    started: list[tuple[int, int]] = field(default_factory=list)

    def start(self, begin: Begin) -> None:
        self.started.append(begin.position)

    def take(self, begin: Begin) -> ClientUpdate | None:
        if self.fate != "done":
            return None
        delta = torch.full((SIZE,), 0.01 * (1 + int(self.client[-1])))
        return ClientUpdate(self.client, delta, 50, ClientSignals(0.9, 0.8))


def make_pipeline(keys: KeySource, sample_rate: float = 1.0) -> list:
    """Return the client half of `pipeline.py::build_pipeline`."""
    return [
        HiddenSampling(keys, sample_rate),
        ISFAAggregation(AggregationArgs()),
        ClipUpdate(keys),
        DistributedNoise(keys, 1.0, SECURITY),
    ]


def make_device(
    client: str,
    session: Session,
    folder: Path,
    *,
    keys: KeySource | None = None,
    fate: Fate = "done",
    sample_rate: float = 1.0,
    epsilon: float = float("inf"),
    epoch_rounds: int = 1,
) -> Device:
    keys = keys or OperatingSystemKeys()
    ledger = DeviceLedger(folder / f"{client}.jsonl", epsilon, 1e-5)
    return Device(
        SecureClient(client, identity(client), session, keys, InMemory()),
        ClientHalf(client, session.roster.clients, make_pipeline(keys, sample_rate), ClippingArgs()),
        FatedTrainer(client, fate),
        DeviceBooks(ledger, session, Release(1.0, sample_rate)),
        SignedNorm(CLIP_NORM, ClippingArgs()),
        ROUNDS,
        HandClock(),
        epoch_rounds,
    )


def make_device_session(clients: int = 5) -> Session:
    return make_session(plan(clients, 0, 3, dimension=SIZE + 1))


@dataclass
class DeviceNodes:
    """Asks devices of this process and keeps all that they say."""

    devices: Mapping[int, Device]
    said: list[tuple[int, bytes]] = field(default_factory=list)
    orders: list[Mapping[int, bytes]] = field(default_factory=list)

    def everybody(self) -> list[int]:
        return list(self.devices)

    def ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        self.orders.append(dict(orders))
        for node, order in orders.items():
            try:
                message = self.devices[node].answer(order)
            except ValueError:
                continue
            self.said.append((node, message))
            yield node, message


def make_order(
    index: int = 0, attempt: int = 0, head: str = "", clip_norm: float = CLIP_NORM, rounds: int = 1
) -> Begin:
    return Begin(index, attempt, TRAINING, Broadcast(clip_norm, head, torch.linspace(-1, 1, SIZE)), rounds)


def begin_attempt(session: Session, nodes: DeviceNodes, begin: Begin | None = None) -> RemoteAttempt:
    return RemoteAttempt(session, nodes, Patience(30.0, TRAINING), begin or make_order())


def make_nodes(session: Session, folder: Path, fates: Mapping[int, Fate] | None = None, **kwargs) -> DeviceNodes:
    names, fates = make_names(session.config.clients), fates or {}
    devices = {
        node: make_device(name, session, folder, fate=fates.get(node, "done"), **kwargs)
        for node, name in enumerate(names)
    }
    return DeviceNodes(devices)


def expected_sum(session: Session, nodes: DeviceNodes, keys: KeySource, sample_rate: float = 1.0) -> np.ndarray:
    """Return the sum of what the same pipeline makes of the same updates, without a protocol."""
    total = np.zeros(session.config.dimension, np.uint32)
    for device in nodes.devices.values():
        half = ClientHalf(device.client.name, session.roster.clients, make_pipeline(keys, sample_rate), ClippingArgs())
        total += half.encode(make_order(), device.trainer.take(make_order()))
    return total
