"""What devices tell each other; every function here is a collective that all devices must join."""

from __future__ import annotations

from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import distributed
from torch.nn import Module

from federation.update import Aggregate, ClientUpdate, RoundState

RESIDUES = 0xFFFFFFFF

Item = TypeVar("Item")


def is_parallel() -> bool:
    """Whether several devices take part; one device needs no process group."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def gather(item: Item) -> list[Item]:
    """Return every device's item, in rank order."""
    if not is_parallel():
        return [item]
    items: list[Item | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(items, item)
    return items


def wait_for_all() -> None:
    """Return when every device has come this far."""
    if is_parallel():
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
    decisions = gather((state.stop, state.clients, state.clip_norm, state.attempt, state.notes))
    _, state.clients, state.clip_norm, state.attempt, state.notes = decisions[0]
    state.stop = any(decision[0] for decision in decisions)


@torch.no_grad()
def synchronise(module: Module) -> None:
    """Give rank 0's parameters and buffers to every device, so that all start from the same module.

    They travel as bytes, since backends do not know every type, and over GPUs even if they wait in host memory.
    """
    if not is_parallel():
        return
    over_gpus = distributed.get_backend() == "nccl"
    for tensor in chain(module.parameters(), module.buffers()):
        value = tensor.detach().contiguous().flatten().view(torch.uint8)
        value = value.cuda() if over_gpus else value
        distributed.broadcast(value, src=0)
        tensor.copy_(value.view(tensor.dtype).view_as(tensor))


def sum_wires(fabric: Fabric, state: RoundState, updates: list[ClientUpdate]) -> Aggregate:
    """Add what this device's clients send, then over devices: residues mod 2^32 exactly, float64 without privacy.

    A device without a client adds zeros, as every device must join.

    Raises:
        RuntimeError: If an update is not what may leave: a missing or wrongly typed `wire`.
    """
    total = torch.zeros(state.wire_size, dtype=state.wire_dtype)
    for update in sorted(updates, key=lambda update: update.client):
        total += torch.from_numpy(_checked_wire(state, update)).to(total.dtype)
    if is_parallel():  # only then on the GPU: some know no float64
        total = total.to(fabric.device)
        distributed.all_reduce(total)
        total = total.cpu()
    if state.private:
        return Aggregate((total & RESIDUES).numpy().astype(np.uint32), len(state.clients))
    return Aggregate(total.numpy(), len(state.clients), vector=total.numpy())


def _checked_wire(state: RoundState, update: ClientUpdate) -> np.ndarray:
    """Return what a client sends; without privacy that is its plain vector."""
    wire = update.vector if update.wire is None and not state.private else update.wire
    shape, dtype = (state.wire_size,), np.dtype(np.uint32 if state.private else np.float64)
    if wire is None or wire.shape != shape or wire.dtype != dtype:
        got = "nothing" if wire is None else f"{wire.dtype} {wire.shape}"
        raise RuntimeError(f"The pipeline must leave {dtype} {shape} in `wire` of {update.client}. Got {got}.")
    return wire if not state.private else wire.astype(np.int64)
