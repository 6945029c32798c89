"""A process that trains beside the device's front: it may crash, hang or run out of memory, and the front goes on."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from typing_extensions import override

from federation.deployment.local_training import LocalTraining
from federation.deployment.orders import Begin
from federation.deployment.trainer import Trainer, decode_update
from federation.update import ClientUpdate

LOGGER = logging.getLogger(__name__)

READY = b"ready"
FAILED = b"failed: "
LOADING_SECONDS = 600.0
ENDING_SECONDS = 5.0


class TrainingProcess(Trainer):
    """Keeps one process with the model for as long as the device runs; one that ended is replaced at the next attempt.

    Args:
        client: Whose training.
        load: Returns the training; called in the process, so it must be a function of a module, with plain arguments.
    """

    def __init__(self, client: str, load: Callable[[], LocalTraining]) -> None:
        self.client, self.load = client, load
        self._context = get_context("spawn")
        self._launch()

    @property
    def pid(self) -> int | None:
        """Return the number of the process, the same from round to round unless it had to be replaced."""
        return self._process.pid

    def wait_until_loaded(self) -> None:
        """Return when the model is there.

        Raises:
            ValueError: If it cannot be loaded, with the reason that can be mended; for any other the log has more.
        """
        self._connection.poll(LOADING_SECONDS)
        self._receive()
        if not self._loaded:
            reason = self._failure or "It ended instead, or is late; its last lines say why."
            raise ValueError(f"The training process must load its model. {reason}")

    @override
    def start(self, begin: Begin) -> None:
        """Begin to train, in a new process if the last one is still at an earlier attempt.

        Nothing is sent to a process that does not listen: the front would wait for it.
        """
        self._receive()
        if self._busy or self._ended:
            self._replace()
        elif not self._loaded:
            LOGGER.warning("The training process is still loading its model.")
        else:
            self._busy = True
            with suppress(OSError):  # it has just ended, which the next attempt finds
                self._connection.send_bytes(begin.encode())

    @override
    def take(self, begin: Begin) -> ClientUpdate | None:
        content = self._receive()
        if self._ended:
            self._replace()  # now, so that it may have its model when the next attempt begins
        return None if content is None else decode_update(content, self.client, begin)

    def _receive(self) -> bytes | None:
        """Return what the process hands over, None if nothing is there; does not wait."""
        try:
            while self._connection.poll(0):
                content = self._connection.recv_bytes()
                if content.startswith(FAILED):
                    self._failure = content.removeprefix(FAILED).decode()
                elif content == READY:
                    self._loaded = True
                else:
                    self._busy = False
                    return content
        except (EOFError, OSError):
            self._busy, self._ended = False, True
        return None

    def close(self) -> None:
        """End the process, gently at first."""
        self._connection.close()
        self._process.terminate()
        self._process.join(ENDING_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _replace(self) -> None:
        reason = self._failure or ("It has ended." if self._ended else "It is late.")
        LOGGER.warning("The training process is replaced. %s", reason)
        self.close()
        self._launch()

    def _launch(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve_training, args=(theirs, self.load), daemon=True)
        self._process.start()
        theirs.close()
        self._busy = self._loaded = self._ended = False
        self._failure = ""


def serve_training(connection: Connection, load: Callable[[], LocalTraining]) -> None:
    """Load the model and train for every order until the front is gone; runs in the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the front ends this one
    try:
        training = load()
    except (OSError, ValueError) as error:  # one line at the front; anything else is a bug and keeps its traceback
        connection.send_bytes(FAILED + str(error).encode())
        return
    connection.send_bytes(READY)
    while True:
        try:
            order = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(training.run(order))
