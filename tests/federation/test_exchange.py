from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from federation.exchange import WireSum, agree, exchange_messages, meeting, synchronise
from federation.update import Aggregate, ClientSignals, ClientUpdate, RoundState
from tests.tiny import run_on, tiny_fabric

SIZE = 5


def make_state(private: bool = True, clients: tuple[str, ...] = ("ann", "bob")) -> RoundState:
    return RoundState(0, clients, torch.zeros(SIZE - 1), 1.0, exchange_messages, masked=private)


def make_update(wire: np.ndarray | None, client: str = "ann") -> ClientUpdate:
    return ClientUpdate(client, torch.zeros(SIZE - 1), 1, ClientSignals(1.0, 1.0), wire=wire)


def tell(fabric: Fabric) -> dict[str, bytes]:
    return exchange_messages({f"client{fabric.global_rank}": bytes([fabric.global_rank])})


@pytest.mark.parametrize("devices", [None, 1, 3])
def test_every_device_hears_everybody(devices):
    assert run_on(devices, tell) == {f"client{rank}": bytes([rank]) for rank in range(devices or 1)}


def speak_twice(fabric: Fabric) -> str:
    with pytest.raises(ValueError, match="two messages of ann") as error:
        exchange_messages({"ann": b""})
    return str(error.value)


def test_two_devices_cannot_speak_for_one_client():
    assert run_on(2, speak_twice)


def decide(fabric: Fabric) -> dict[str, bytes]:
    """Devices that differ in all that hooks may set, then in nothing."""
    rank, state = fabric.global_rank, make_state()
    state.clients, state.clip_norm, state.attempt, state.notes = (f"c{rank}",), rank + 1.0, rank, {"rank": rank}
    state.stop = rank == 1
    agree(state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("federation.exchange.gather", _not_needed)
        agree(state)
    decided = (state.clients, state.clip_norm, state.attempt, state.notes, state.stop)
    return exchange_messages({str(rank): repr(decided).encode()})


def _not_needed(item: object) -> None:
    raise AssertionError(f"Devices that agree tell each other everything: {item}.")


def test_devices_follow_the_first_one_and_stop_together():
    first = repr((("c0",), 1.0, 0, {"rank": 0}, True)).encode()
    assert run_on(2, decide) == {"0": first, "1": first}


def synchronised(fabric: Fabric) -> list[float]:
    module = nn.BatchNorm1d(3)
    nn.init.constant_(module.weight, fabric.global_rank + 1.0)
    module.running_mean.fill_(fabric.global_rank + 5.0)
    synchronise(module)
    values = fabric.all_gather(torch.stack([module.weight, module.running_mean]))
    return values.flatten().unique().tolist()


def test_every_device_gets_the_first_ones_parameters_and_buffers():
    assert run_on(2, synchronised) == [1.0, 5.0]


def sum_wires(fabric: Fabric, state: RoundState, updates: list[ClientUpdate]) -> Aggregate:
    total = WireSum(state)
    for update in updates:
        total.add(update)
    return total.over_devices(fabric)


def sum_residues(fabric: Fabric) -> np.ndarray:
    """Devices with two, one and no clients; the sums wrap around 2^32."""
    everything = residues()
    mine = [[everything[0], everything[1]], [everything[2]], []][fabric.global_rank]
    updates = [make_update(wire, f"c{position}") for position, wire in enumerate(mine)]
    aggregate = sum_wires(fabric, make_state(clients=("a", "b", "c")), updates)
    assert aggregate.num_clients == 3
    return aggregate.wire


def residues() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2**32, size=(3, SIZE), dtype=np.uint32)


def test_residues_add_up_exactly_also_beside_a_device_without_a_client():
    total = run_on(3, sum_residues)
    assert total.dtype == np.uint32
    np.testing.assert_array_equal(total, residues().sum(0, dtype=np.uint32))


def test_without_privacy_plain_vectors_add_up():
    update = make_update(None)
    update.vector = np.arange(SIZE) / 3
    aggregate = sum_wires(tiny_fabric(), make_state(private=False), [update, update])
    np.testing.assert_array_equal(aggregate.vector, 2 * update.vector)


@pytest.mark.parametrize(
    "wire",
    [None, np.zeros(SIZE), np.zeros(SIZE, np.int64), np.zeros(SIZE - 1, np.uint32)],
    ids=["nothing", "float", "integers", "short"],
)
def test_only_residues_leave_a_private_client(wire):
    update = make_update(wire)
    update.vector = np.zeros(SIZE)
    with pytest.raises(RuntimeError, match=r"must leave uint32 \(5,\) in `wire` of ann"):
        sum_wires(tiny_fabric(), make_state(), [update])


@pytest.mark.parametrize("said", ["[../gloo/transport/tcp/pair.cc:534] Connection closed by peer", "NCCL error"])
def test_a_device_that_is_gone_is_one_line(said):
    with pytest.raises(ValueError, match="Another device of this run has ended"), meeting():
        raise RuntimeError(said)


def test_what_is_wrong_here_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="Cannot pickle"), meeting():
        raise RuntimeError("Cannot pickle")
