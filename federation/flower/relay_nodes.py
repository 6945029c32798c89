"""Flower's grid as a transport: `train.py` keeps the rounds, and a relay that Flower runs carries their bytes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from typing_extensions import override

from federation.deployment.frames import receive_frame, send_frame
from federation.deployment.nodes import Nodes
from federation.deployment.socket_service import bind_socket
from federation.folder_lock import lock_folder

SECONDS = struct.Struct(">d")
ORDER = struct.Struct(">QI")
NODE = struct.Struct(">Q")
LONGEST = 2**31 - 1
"""Bytes of an answer at most; who sends them is this machine's own relay."""
JOINING_SECONDS = 120.0
SLACK_SECONDS = 30.0
"""Between the deadline and the relay's own word that it is over."""


class RelayNodes(Nodes):
    """Asks the nodes of a SuperLink through the relay of `federation/flower/app`.

    The relay is started when it is first needed, and anew when it is gone, as after a SuperLink's restart: what was in
    progress then is lost, the round refused, and the next attempt finds a new one.

    Args:
        path: Of the Unix socket for the relay; in a folder that only this user can enter.
        launch: Has Flower run the relay, which connects to the socket; raises OSError if it cannot.

    Raises:
        ValueError: If another run has its socket there.
    """

    def __init__(self, path: Path, launch: Callable[[], None]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held = ExitStack()
        refusal = f"Another run has its relay in {path.parent}. Wait for its end, or use another `--deployment.socket`."
        self._held.enter_context(lock_folder(path.parent, refusal))
        self.path, self.launch = path, launch
        self._relay: socket.socket | None = None
        self._listener = bind_socket(path)
        path.chmod(0o600)
        self._listener.listen(1)

    @override
    def everybody(self) -> list[int]:
        content = self._exchange(b"N", JOINING_SECONDS)
        return [node for (node,) in NODE.iter_unpack(content[1:])]

    @override
    def ask(self, orders: Mapping[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
        if not orders:
            return
        parts = (ORDER.pack(node, len(order)) + order for node, order in orders.items())
        content = self._exchange(b"A" + SECONDS.pack(seconds) + b"".join(parts), seconds + SLACK_SECONDS)
        try:
            while content[:1] == b"R":
                yield NODE.unpack_from(content, 1)[0], content[1 + NODE.size :]
                content = self._receive()
        except GeneratorExit:  # answers that nobody waits for must not be taken for those of the next question
            self._drop()
            raise

    def close(self) -> None:
        """Let the relay end, and take no other."""
        self._drop()
        self._listener.close()
        self.path.unlink(missing_ok=True)
        self._held.close()

    def _exchange(self, request: bytes, seconds: float) -> bytes:
        """Return the relay's first frame after a request."""
        if self._relay is None:
            self._relay = self._join()
        self._relay.settimeout(seconds)
        try:
            send_frame(self._relay, request)
        except OSError:
            self._drop()
            raise
        return self._receive()

    def _receive(self) -> bytes:
        try:
            content = receive_frame(self._relay, LONGEST)
        except (OSError, ValueError) as error:
            self._drop()
            raise ConnectionError(f"Flower's relay broke off: {error}.") from error
        if content is None:
            self._drop()
            raise ConnectionError("Flower's relay has ended. Is the SuperLink running?")
        return content

    def _join(self) -> socket.socket:
        """Have Flower run a relay and return its connection."""
        self.launch()
        self._listener.settimeout(JOINING_SECONDS)
        try:
            return self._listener.accept()[0]
        except TimeoutError:
            raise ConnectionError(f"Flower ran no relay within {JOINING_SECONDS:g} seconds.") from None

    def _drop(self) -> None:
        if self._relay is not None:
            self._relay.close()
            self._relay = None
