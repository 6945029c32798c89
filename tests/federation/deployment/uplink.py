"""All that leaves a device by its only door, and what it may be: the typed messages of secure aggregation."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from federation.deployment.attempt import RemoteAttempt
from federation.deployment.device import Device
from federation.deployment.frames import FrameError, receive_frame, send_frame
from federation.deployment.nodes import Nodes
from federation.deployment.patience import Patience
from federation.deployment.socket_service import SocketService
from federation.secure_aggregation.bundles import unbundle
from federation.secure_aggregation.errors import ProtocolError
from federation.secure_aggregation.messages import Advertise, Confirm, MaskedInput, ShareKeys, Unmask
from federation.secure_aggregation.session import Session, later_context
from tests.federation.deployment.devices import make_order

LONGEST = 1 << 20
ROUNDS = 2
LENGTH_BYTES = 4


class Tap:
    """Stands between a device's socket and whoever asks the device, and keeps every byte that the device sends.

    Args:
        path: Where it listens, in the place of the device.
        device: Where the device listens.
    """

    def __init__(self, path: Path, device: Path) -> None:
        self.device, self.connections = device, []
        path.parent.mkdir(parents=True, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        Thread(target=self._serve, daemon=True).start()

    @property
    def sent(self) -> bytes:
        return b"".join(map(bytes, self.connections))

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                asking, _ = self.listener.accept()
                self.connections.append(kept := bytearray())
                Thread(target=self._attend, args=(asking, kept), daemon=True).start()

    def _attend(self, asking: socket.socket, kept: bytearray) -> None:
        with asking, socket.socket(socket.AF_UNIX) as answering:
            answering.connect(str(self.device))
            orders = Thread(target=_pump, args=(asking, answering, bytearray()), daemon=True)
            orders.start()
            _pump(answering, asking, kept)
            orders.join()

    def close(self) -> None:
        """Listen no more."""
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self.listener.close()


def _pump(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """Pass on what one side sends, until it ends."""
    with suppress(OSError):
        while part := source.recv(1 << 16):
            kept += part
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


@dataclass
class TappedDevices:
    """Devices of this process behind real sockets with a tap before each; as a transport, it asks through the taps."""

    devices: Mapping[int, Device]
    folder: Path
    doors: dict[int, Path] = field(default_factory=dict)

    def __enter__(self) -> TappedDevices:
        self.services, self.taps = [], {}
        for node, device in self.devices.items():
            inner = self.folder / f"device-{node}" / "socket"
            service = SocketService(inner, device.answer, longest=LONGEST, users={os.getuid()})
            Thread(target=service.serve, daemon=True).start()
            self.services.append(service)
            self.doors.setdefault(node, self.folder / f"door-{node}")
            self.taps[node] = Tap(self.doors[node], inner)
        return self

    def __exit__(self, *error: object) -> None:
        for tap in self.taps.values():
            tap.close()
        for service in self.services:
            service.close()

    def everybody(self) -> list[int]:
        return list(self.devices)

    def ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        answers = {}
        for node, order in orders.items():
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.doors[node]))
                send_frame(connection, order)
                with suppress(FrameError):
                    answers[node] = receive_frame(connection, LONGEST)
        yield from ((node, answer) for node, answer in answers.items() if answer is not None)


def run_epoch(session: Session, nodes: Nodes, answer: float = 30.0) -> None:
    """Run an epoch of two rounds over a transport; a round that is refused is passed over."""
    attempt = RemoteAttempt(session, nodes, Patience(answer, training=1.0), make_order(rounds=ROUNDS))
    for index in range(ROUNDS):
        with suppress(ProtocolError):
            attempt.enter(make_order(index, rounds=ROUNDS)) if index else attempt.collect()
            attempt.release()


def read_uplink(sent: bytes, client: int, session: Session) -> list[tuple[str, int]]:
    """Return types and lengths of all that one device sent in such an epoch.

    Each message is written again from what was read of it, so that no byte is anything else.

    Raises:
        AssertionError: If a byte is not of the message that was due, or is missing.
        ProtocolError: If a message is malformed.
    """
    frames, seen = list(_frames(sent)), []
    broadcast = make_order().agreed
    first = session.context(0, 0, broadcast)
    setups = [first, *(later_context(first, later) for later in range(1, ROUNDS))]
    contexts = [first, *(session.context(r, 0, broadcast, setups[r]) for r in range(1, ROUNDS))]
    everybody = range(len(session.roster.clients))
    others = [other for other in everybody if other != client]
    due = [(Advertise, (), setups), (ShareKeys, (others,), setups)]
    for context in contexts:
        due += [(MaskedInput, (session.config.dimension,), [context])]
        due += [(Confirm, (), [context]), (Unmask, (everybody,), [context])]
    assert len(frames) == len(due), f"{len(frames)} answers for {len(due)} orders"
    for frame, (kind, shape, places) in zip(frames, due, strict=True):
        for part, context in zip(unbundle(frame, len(places)), places, strict=True):
            assert kind.decode(part, client, context, *shape).encode(context) == part
        seen.append((kind.__name__, len(frame)))
    return seen


def _frames(sent: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(sent):
        length = int.from_bytes(sent[start : start + LENGTH_BYTES], "big")
        start += LENGTH_BYTES + length
        assert start <= len(sent), "the last frame is cut off"
        yield sent[start - length : start]
