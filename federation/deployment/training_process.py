"""Training beside the device's front: its process may crash, hang or run out of memory, and the front goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from multiprocessing import get_context
from threading import Thread
from typing import TYPE_CHECKING

from typing_extensions import override

from federation.deployment.orders import Begin
from federation.deployment.trainer import Trainer, decode_update
from federation.deployment.training_worker import TrainingWorker
from federation.update import ClientUpdate

if TYPE_CHECKING:  # who holds the process has no need of what trains in it
    from federation.deployment.local_training import LocalTraining

LOGGER = logging.getLogger(__name__)

LOADING_SECONDS = 600.0


class TrainingProcess(Trainer):
    """Keeps one process with the model for as long as the device runs; one that ended or is late is replaced.

    Args:
        client: Whose training.
        load: Returns the training; called in the process, so it must be a function of a module, with plain arguments.
    """

    def __init__(self, client: str, load: Callable[[], LocalTraining]) -> None:
        self.client, self.load = client, load
        self._context = get_context("spawn")
        self._worker = TrainingWorker(self._context, load)

    @property
    def pid(self) -> int | None:
        """Return the number of the process, the same from round to round unless it had to be replaced."""
        return self._worker.pid

    def wait_until_loaded(self) -> None:
        """Return when the model is there.

        Raises:
            ValueError: If it cannot be loaded, with the reason that can be mended; for any other the log has more.
        """
        if not self._worker.wait_until_loaded(LOADING_SECONDS):
            reason = self._worker.failure or "It ended instead, or is late; its last lines say why."
            raise ValueError(f"The training process must load its model. {reason}")

    @override
    def start(self, begin: Begin) -> None:
        """Begin to train, unless the process is at just that, or has done it, for an attempt that was refused.

        One that is at anything else is replaced. The new process trains as soon as it has its model, for the time that
        is left then.
        """
        if self._worker.serves(begin):
            return
        if self._worker.is_busy or self._worker.has_ended:
            self._replace()
        self._worker.give(begin)

    @override
    def take(self, begin: Begin) -> ClientUpdate | None:
        content = self._worker.update if self._worker.serves(begin) else None
        update = None if content is None else decode_update(content, self.client, self._worker.order)
        if self._worker.has_ended:
            self._replace()  # now, so that it may have its model when the next attempt begins
        return update

    def close(self) -> None:
        """End the process, gently at first."""
        self._worker.close()

    def _replace(self) -> None:
        reason = self._worker.failure or ("It has ended." if self._worker.has_ended else "It is at an earlier order.")
        LOGGER.warning("The training process is replaced. %s", reason)
        Thread(target=self._worker.close, daemon=True).start()  # the answer to an order does not wait for its end
        self._worker = TrainingWorker(self._context, self.load)
