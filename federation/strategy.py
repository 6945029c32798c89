"""The Fabric strategy `client_parallel`: one process per device, each with a whole module and its own client."""

from __future__ import annotations

import atexit
import os
import sys
import time
from datetime import timedelta
from threading import Thread
from typing import Any

import torch
from lightning.fabric.strategies import STRATEGY_REGISTRY, DDPStrategy
from torch import distributed
from torch.nn import Module
from typing_extensions import override

NAME = "client_parallel"

PATIENCE = timedelta(days=7)
"""How long devices wait for each other: one may read clips or train a client for hours. One that ends is noticed."""
WATCH_SECONDS = 5.0
"""Between two looks at whether the first device is still there."""

THREADS_PER_DEVICE = 1
"""On CPU: more threads would add numbers in another order, and results depend on the number of devices."""


class ClientParallelStrategy(DDPStrategy):
    """Data parallelism over clients, not over batches: launcher and collectives of DDP, no gradient sync.

    Args:
        args, kwargs: As for `DDPStrategy` (`timeout`, `process_group_backend`, `start_method`, ...).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._backward_sync_control = None

    @property
    @override
    def distributed_sampler_kwargs(self) -> None:
        """Nothing: one client's data is never split over devices."""
        return

    @override
    def setup_environment(self) -> None:
        super().setup_environment()
        atexit.register(leave_process_group)
        if self.global_rank > 0:
            end_with_parent()
        if self.root_device.type == "cpu":
            torch.set_num_threads(THREADS_PER_DEVICE)

    @override
    def setup_module(self, module: Module) -> Module:
        """Return the module unchanged."""
        return module


def leave_process_group() -> None:
    """Leave the process group, if there is one; gloo's threads would abort or block a process that just ends."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def end_alone(code: int) -> None:
    """End this process with a failure's exit code, without taking leave, if others may wait for it over NCCL.

    NCCL's connections are taken down by all devices together: who has failed would wait there for those who wait for
    its part of a sum, for as long as `PATIENCE` lasts. The first device's launcher sees another one end, and the others
    see the first (`end_with_parent`).
    """
    if distributed.is_available() and distributed.is_initialized() and distributed.get_backend() == "nccl":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end_with_parent() -> None:
    """End this process, from now on, when the one that started it has ended.

    Further devices are started by the first. One that waits for it inside of a GPU's collective would never notice.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def register_strategies() -> None:
    """Tell Fabric of `client_parallel`."""
    if NAME not in STRATEGY_REGISTRY:
        STRATEGY_REGISTRY.register(
            NAME,
            ClientParallelStrategy,
            description="One client per device at a time",
            start_method="popen",
            timeout=PATIENCE,
        )
