"""One process that trains, from its start to its end; a thread listens to it, so that nobody has to wait for it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from threading import Condition, Thread
from typing import TYPE_CHECKING

import torch

from commandline import MENDABLE
from federation.deployment.orders import Begin

if TYPE_CHECKING:  # who holds the process has no need of what trains in it
    from federation.deployment.local_training import LocalTraining

READY = b"ready"
FAILED = b"failed: "
ENDING_SECONDS = 5.0


class TrainingWorker:
    """Trains for one order at a time, which waits here while the model loads, and keeps what it learned.

    Args:
        context: How the process is started.
        load: Returns the training; called in the process, so it must be a function of a module, with plain arguments.
    """

    def __init__(self, context: BaseContext, load: Callable[[], LocalTraining]) -> None:
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve_training, args=(theirs, load), daemon=True)
        self._process.start()
        theirs.close()
        self._changed = Condition()
        self._due = 0.0
        self._loaded = False
        self._ended = False
        self._sent = False
        self.order: Begin | None = None
        """The newest one."""
        self.update: bytes | None = None
        """What training for it left, as `encode_update` writes it."""
        self.failure = ""
        """Why the model could not be loaded, if that can be mended."""
        Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Return the number of the process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended

    @property
    def is_busy(self) -> bool:
        """Whether it is at an order and would not listen to another."""
        return self._sent and self.update is None and not self._ended

    def wait_until_loaded(self, seconds: float) -> bool:
        """Return whether the model is there, as soon as that is known, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._loaded or self._ended, seconds)
            return self._loaded

    def serves(self, begin: Begin) -> bool:
        """Whether what it is at, or has done, is what an attempt asks for.

        What training leaves follows from seed, round, client and global adapter, and from the time there is for it. An
        attempt that asks for the same later has a later deadline.
        """
        with self._changed:
            order = self.order
            if order is None or (order.round, order.training) != (begin.round, begin.training):
                return False
            if not torch.equal(order.broadcast.adapter, begin.broadcast.adapter):
                return False
            return self.update is not None or (self.is_busy and time.monotonic() < self._due)

    def give(self, begin: Begin) -> None:
        """Have it train for an attempt, now or once it has its model; only while it is not busy."""
        with self._changed:
            self.order, self.update, self._sent = begin, None, False
            self._due = time.monotonic() + begin.training
            self._send()

    def close(self) -> None:
        """End the process, gently at first."""
        self._process.terminate()
        self._process.join(ENDING_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _send(self) -> None:
        """Hand the order over with the time that is left; one whose time is over is kept from the process."""
        left = self._due - time.monotonic()
        if self._loaded and self.order is not None and left > 0:  # before, it would not listen, and fill the pipe
            self._sent = True
            with suppress(OSError):  # it has just ended, which the next attempt finds
                self._connection.send_bytes(replace(self.order, training=left).encode())

    def _listen(self) -> None:
        """Take what the process says until it ends."""
        with suppress(EOFError, OSError):
            while True:
                content = self._connection.recv_bytes()
                with self._changed:
                    self._hear(content)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._connection.close()
            self._changed.notify_all()

    def _hear(self, content: bytes) -> None:
        if content.startswith(FAILED):
            self.failure = content.removeprefix(FAILED).decode()
        elif content == READY:
            self._loaded = True
            self._send()
        else:
            self.update = content


def serve_training(connection: Connection, load: Callable[[], LocalTraining]) -> None:
    """Load the model and train for every order until the front is gone; runs in the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the front ends this one
    try:
        training = load()
    except MENDABLE as error:  # one line at the front
        connection.send_bytes(FAILED + str(error).encode())
        return
    connection.send_bytes(READY)
    while True:
        try:
            order = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(training.run(order))
