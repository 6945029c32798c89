"""What devices tell each other; every function here is a collective that all devices must join."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import distributed
from torch.nn import Module

from federation.update import Aggregate, ClientUpdate, RoundState

RESIDUES = 0xFFFFFFFF
SIGNS_OF_AN_END = ("gloo/transport", "closed by peer", "reset by peer", "DistStoreError", "NCCL", "failed to recv")
"""What collectives say where another device has gone."""

Item = TypeVar("Item")


def is_parallel() -> bool:
    """Whether several devices take part; one device needs no process group."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _over_gpus() -> bool:
    """Whether tensors can travel over GPUs alone."""
    return distributed.get_backend() == "nccl"


@contextmanager
def meeting() -> Iterator[None]:
    """Raise a one-line error if another process ends while this one waits for it: its own log says why.

    Raises:
        ValueError: If another device is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in SIGNS_OF_AN_END):
            raise
        raise ValueError("Another device of this run has ended; what it said last says why.") from error


def gather(item: Item) -> list[Item]:
    """Return every device's item, in rank order."""
    if not is_parallel():
        return [item]
    items: list[Item | None] = [None] * distributed.get_world_size()
    with meeting():
        distributed.all_gather_object(items, item)
    return items


def wait_for_all() -> None:
    """Return when every device has come this far."""
    if is_parallel():
        with meeting():
            distributed.barrier()


def exchange_messages(messages: dict[str, bytes]) -> dict[str, bytes]:
    """Give this device's public messages, keyed by client, to every device and return everybody's.

    Raises:
        ValueError: If two devices speak for the same client.
    """
    everybody: dict[str, bytes] = {}
    for received in gather(messages):
        twice = sorted(everybody.keys() & received.keys())
        if twice:
            raise ValueError(f"One device speaks for a client. Got two messages of {', '.join(twice)}.")
        everybody |= received
    return dict(sorted(everybody.items()))


def agree(state: RoundState) -> None:
    """Take over what rank 0's hooks have decided; a stop on any device stops all."""
    decision = (state.stop, state.clients, state.clip_norm, state.attempt, state.notes)
    if _is_shared(repr(decision)):
        return
    decisions = gather(decision)
    _, state.clients, state.clip_norm, state.attempt, state.notes = decisions[0]
    state.stop = any(decision[0] for decision in decisions)


def _is_shared(decision: str) -> bool:
    """Whether all devices have decided the same, by its hash: one small message, where objects take two."""
    if not is_parallel():
        return True
    mine = torch.frombuffer(bytearray(hashlib.sha256(decision.encode()).digest()), dtype=torch.uint8)
    mine = mine.cuda() if _over_gpus() else mine
    everybody = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
    with meeting():
        distributed.all_gather(everybody, mine)
    return all(torch.equal(other, mine) for other in everybody)


@torch.no_grad()
def synchronise(module: Module) -> None:
    """Give rank 0's parameters and buffers to every device, so that all start from the same module.

    They travel as bytes, since backends do not know every type, and over GPUs even if they wait in host memory.
    """
    if not is_parallel():
        return
    over_gpus = _over_gpus()
    for tensor in chain(module.parameters(), module.buffers()):
        value = tensor.detach().contiguous().flatten().view(torch.uint8)
        value = value.cuda() if over_gpus else value
        with meeting():
            distributed.broadcast(value, src=0)
        tensor.copy_(value.view(tensor.dtype).view_as(tensor))


class WireSum:
    """The sum of what a round's clients send: residues mod 2^32 exactly, plain float64 without privacy.

    Clients are added as they come. Without privacy the order may change the last of the 53 bits, of which the adapter
    keeps 24.
    """

    def __init__(self, state: RoundState) -> None:
        self.state = state
        self.total = torch.zeros(state.wire_size, dtype=state.wire_dtype)

    def add(self, update: ClientUpdate) -> None:
        """Add what one of this device's clients sends.

        Raises:
            RuntimeError: If the update is not what may leave: a missing or wrongly typed `wire`.
        """
        self.total += torch.from_numpy(_checked_wire(self.state, update))

    def over_devices(self, fabric: Fabric) -> Aggregate:
        """Return the sum over all devices; one without a client has zeros, as every device must join."""
        total, clients = self.total, len(self.state.clients)
        if is_parallel():  # only then on the GPU: some know no float64
            total = total.to(fabric.device)
            with meeting():
                distributed.all_reduce(total)
            total = total.cpu()
        if self.state.masked:
            return Aggregate((total & RESIDUES).numpy().astype(np.uint32), clients)
        return Aggregate(total.numpy(), clients, vector=total.numpy())


def _checked_wire(state: RoundState, update: ClientUpdate) -> np.ndarray:
    """Return what a client sends; without privacy that is its plain vector."""
    wire = update.vector if update.wire is None and not state.masked else update.wire
    shape = (state.wire_size,)
    dtype = np.dtype(np.uint32 if state.masked else np.float64)
    if wire is None or wire.shape != shape or wire.dtype != dtype:
        got = "nothing" if wire is None else f"{wire.dtype} {wire.shape}"
        raise RuntimeError(f"The pipeline must leave {dtype} {shape} in `wire` of {update.client}. Got {got}.")
    return wire if not state.masked else wire.astype(np.int64)
