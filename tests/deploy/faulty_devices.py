"""Devices in processes of their own that fail as told; they train nothing, and do all else as device.py does."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path
from typing import Literal

import torch

from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.deployment.client_half import ClientHalf
from federation.deployment.device import Device
from federation.deployment.device_books import DeviceBooks
from federation.deployment.orders import STAGE_OF, Begin, Continue, longest_order
from federation.deployment.session_file import read_session
from federation.deployment.signed_norm import SignedNorm
from federation.deployment.socket_service import SocketService
from federation.deployment.trainer import Trainer
from federation.key_source import SeededKeys
from federation.privacy.accountant import Release
from federation.privacy.device_ledger import DeviceLedger
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.memory import FileMemory
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage
from federation.update import ClientSignals, ClientUpdate
from pipeline import client_steps
from tests.federation.secure_aggregation.parties import identity
from tests.forkserver import CONTEXT

SEED, CLIP_NORM, ROUNDS, SECURITY = 11, 0.5, 3, SecurityArgs(dropout_share=0.4)
PRIVACY = PrivacyArgs(key_source="seeded", noise_multiplier=0.3, clip_norm=CLIP_NORM, allow_tiny_cohort=True)
AGREED = AgreedSettings(
    PRIVACY, FederationArgs(rounds=ROUNDS, sampling="all"), AggregationArgs(), SECURITY, ClippingArgs()
)
ANSWER_SECONDS, TRAINING_SECONDS = 10.0, 1.0
SLEEP_SECONDS = ANSWER_SECONDS + TRAINING_SECONDS

Fault = Literal[
    "trainer crashes", "sleeps", "wrong length", "dies before upload", "dies after upload", "comes with an old round"
]
Script = Mapping[int, Fault]
"""What goes wrong at a device, by round, at every attempt."""


@dataclass
class NoTraining(Trainer):
    """Has an update at once, or none where the trainer crashes."""

    client: str
    script: Script

    def start(self, begin: Begin) -> None:
        pass

    def take(self, begin: Begin) -> ClientUpdate | None:
        if self.script.get(begin.round) == "trainer crashes":
            return None
        delta = torch.full_like(begin.broadcast.adapter, 0.01 * (1 + int(self.client[-1])))
        return ClientUpdate(self.client, delta, 100, ClientSignals(0.9, 0.8))


class FaultyDevice:
    """Answers as a device does, until its script says otherwise."""

    def __init__(self, device: Device, script: Script) -> None:
        self.device, self.script = device, script
        self.first: dict[Stage, bytes] = {}

    def answer(self, order: bytes) -> bytes:
        stage, begin = self.read(order)
        fault = self.script.get(begin.round)
        if (fault, stage) in {("dies before upload", Stage.MASK_INPUT), ("dies after upload", Stage.CONFIRM)}:
            os._exit(9)
        message = self.device.answer(order)
        old = self.first.setdefault(stage, message)
        if fault == "comes with an old round":
            return old
        if fault == "wrong length" and stage is Stage.MASK_INPUT:
            return message[:-4]
        if fault == "sleeps" and stage is Stage.MASK_INPUT:
            time.sleep(SLEEP_SECONDS)
        return message

    def read(self, order: bytes) -> tuple[Stage, Begin]:
        """Return the stage of an order, and what began its attempt."""
        if order[:4] == Begin.TAG:
            return Stage.ADVERTISE, Begin.decode(order, self.device.size)
        if order[:4] == Continue.TAG:
            return Stage.MASK_INPUT, Continue.decode(order, self.device.size).begin
        return STAGE_OF[order[:4]], self.device._begin


def make_half(client: str, session: Session) -> ClientHalf:
    sampling, steps = client_steps(SeededKeys(SEED), AGREED, len(session.roster.clients))
    return ClientHalf(client, session.roster.clients, [*sampling, *steps], AGREED.clipping)


def make_device(client: str, session: Session, folder: Path, script: Script) -> Device:
    return Device(
        SecureClient(client, identity(client), session, SeededKeys(SEED), FileMemory(folder / "memory")),
        make_half(client, session),
        NoTraining(client, script),
        DeviceBooks(DeviceLedger(folder / "ledger.jsonl", float("inf"), 1e-5), session, Release(0.3, 1.0)),
        SignedNorm(CLIP_NORM, ClippingArgs()),
        ROUNDS,
        epoch_rounds=ROUNDS,
    )


def start_device(client: str, session: Path, folder: Path, script: Script) -> Process:
    """Start a device, or start it again after it died, and wait until it listens; what it knows is on its disk."""
    path = folder / "door" / "socket"
    path.unlink(missing_ok=True)
    process = CONTEXT.Process(target=_serve, args=(client, session, folder, script), daemon=True)
    process.start()
    while not _listens(path):
        assert process.exitcode is None
        time.sleep(0.05)
    return process


def _listens(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        return True
    return False


def _serve(client: str, file: Path, folder: Path, script: Script) -> None:
    with (folder / "device.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    session = read_session(file)
    device = FaultyDevice(make_device(client, session, folder, script), script)
    path, longest = folder / "door" / "socket", longest_order(session, ROUNDS)
    SocketService(path, device.answer, longest=longest, users={os.getuid()}).serve()
