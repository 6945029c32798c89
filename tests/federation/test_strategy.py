from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import STRATEGY_REGISTRY
from torch import nn

from federation.strategy import PATIENCE, ClientParallelStrategy, end_alone, register_strategies
from tests.tiny import TinyModule, run_on, tiny_rounds


def test_the_strategy_is_registered_once():
    register_strategies()
    register_strategies()
    strategy = STRATEGY_REGISTRY.get("client_parallel")
    assert isinstance(strategy, ClientParallelStrategy)
    assert strategy._start_method == "popen"
    assert isinstance(Fabric(accelerator="cpu", devices=2, strategy="client_parallel").strategy, ClientParallelStrategy)


def test_a_clients_batches_and_gradients_are_nobody_elses():
    strategy = ClientParallelStrategy()
    module = nn.Linear(1, 1)
    assert strategy.setup_module(module) is module
    assert strategy.distributed_sampler_kwargs is None
    assert strategy._backward_sync_control is None


def step_alone(fabric: Fabric) -> list[float]:
    """Train one step on one device only: with gradient sync this would wait for the other for ever."""
    module = fabric.setup(nn.Linear(2, 1, bias=False))
    loader = fabric.setup_dataloaders(torch.utils.data.DataLoader(torch.ones(6, 2), batch_size=2))
    if fabric.global_rank == 0:
        fabric.backward(module(next(iter(loader))).sum())
        assert len(loader) == 3
        return module.weight.grad.flatten().tolist()
    return []


def test_a_device_trains_alone():
    assert run_on(2, step_alone) == [2.0, 2.0]


@pytest.mark.parametrize(("backend", "ended"), [("nccl", [3]), ("gloo", [])])
def test_who_fails_takes_no_leave_of_those_who_wait_over_nccl(monkeypatch, backend, ended):
    """They would wait for it, and it for them."""
    codes = []
    monkeypatch.setattr("federation.strategy.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("federation.strategy.distributed.get_backend", lambda: backend)
    monkeypatch.setattr("federation.strategy.os._exit", codes.append)
    end_alone(3)
    assert codes == ended


def count_threads(fabric: Fabric) -> int:
    return torch.get_num_threads()


def test_each_device_computes_on_one_thread():
    assert run_on(1, count_threads) == 1
    assert run_on(2, count_threads) == 1


def see_dtypes(fabric: Fabric, folder: str) -> set[str]:
    module = TinyModule()
    rounds = tiny_rounds(fabric, folder, module=module)
    rounds.cohort.trainer.federation.local_steps = 1
    state = rounds._new_state()
    rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    return {str(dtype) for dtype in module.dtypes}


@pytest.mark.parametrize("devices", [None, 1], ids=["auto", "client_parallel"])
@pytest.mark.parametrize(("precision", "dtype"), [("32-true", "torch.float32"), ("bf16-mixed", "torch.bfloat16")])
def test_steps_run_in_the_chosen_precision_and_adapters_stay_float32(tmp_path, devices, precision, dtype):
    """Without a DDP wrapper, Fabric alone would train in float32 at any precision and say nothing."""
    assert run_on(devices, see_dtypes, str(tmp_path), precision=precision) == {dtype}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA: 16-mixed is a GPU precision")
def test_steps_run_in_float16_on_cuda(tmp_path):
    fabric = Fabric(accelerator="cuda", devices=1, strategy="client_parallel", precision="16-mixed")
    fabric.launch()
    try:
        assert see_dtypes(fabric, str(tmp_path)) == {"torch.float16"}
    finally:
        torch.distributed.destroy_process_group()


def refuse_ddp(fabric: Fabric, folder: str) -> str:
    with pytest.raises(ValueError, match="Got DDPStrategy") as error:
        tiny_rounds(fabric, folder)
    return str(error.value)


def test_plain_ddp_is_refused_on_several_devices(tmp_path):
    assert Fabric(accelerator="cpu", devices=2, strategy="ddp_fork").launch(refuse_ddp, str(tmp_path))


def test_adapters_in_16_bit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Adapters must be float32\. Got torch\.bfloat16\. Use `--precision` 32-true"):
        tiny_rounds(Fabric(accelerator="cpu", devices=1, precision="bf16-true"), tmp_path, module=TinyModule())


def test_devices_wait_for_each_other_for_days():
    """Lightning's half an hour is over before another device has read its clips, or trained a client on a CPU."""
    register_strategies()
    assert STRATEGY_REGISTRY["client_parallel"]["init_params"]["timeout"] == PATIENCE > timedelta(days=1)


def test_a_device_ends_with_the_process_that_started_it():
    """The output has an end only when both processes are gone."""
    script = """
import os, time
from federation import strategy

strategy.WATCH_SECONDS = 0.05
reading, writing = os.pipe()
if os.fork() == 0:
    strategy.end_with_parent()
    os.write(writing, b"watching")
    time.sleep(600)
os.read(reading, 8)
print("the first device ends", flush=True)
os._exit(0)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "the first device ends\n"
