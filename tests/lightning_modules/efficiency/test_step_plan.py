"""A plan reads no weights, and says what a real step of the same model needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.on_gpu.rows import LARGE
from benchmarks.on_gpu.training import draw_step
from lightning_modules.args import MemoryArgs
from lightning_modules.efficiency import merged_layers
from lightning_modules.efficiency.footprint import measure_step
from lightning_modules.efficiency.step_plan import plan_step
from lightning_modules.talking_head import TalkingHead
from tests.lightning_modules.batches import make_batch

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def configs(tiny_base, tmp_path_factory) -> str:
    """A base model's configs without any weights."""
    folder = tmp_path_factory.mktemp("configs") / "base"
    return str(shutil.copytree(tiny_base, folder, ignore=shutil.ignore_patterns("*.safetensors")))


@pytest.fixture
def dearest_step(monkeypatch) -> None:
    """Have a real step draw a time at which the identity loss shows a face, and show all head motion, as plans do."""
    monkeypatch.setattr(
        "lightning_modules.draws.draw_timesteps", lambda batch, device: torch.zeros(batch, device=device).long()
    )
    monkeypatch.setattr(torch, "rand", lambda *shape, device=None: torch.zeros(*shape, device=device))


@pytest.mark.slow
@pytest.mark.usefixtures("dearest_step")
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_a_plan_is_what_a_real_step_needs(tiny_base, configs, gradient_checkpointing, monkeypatch):
    monkeypatch.setattr(merged_layers, "SMALL", 0)  # only a CPU holds merged weights, and plans are of GPUs
    head = TalkingHead(str(tiny_base), gradient_checkpointing=gradient_checkpointing).train()
    batch = make_batch(head, clips=2, frames=4)
    real = measure_step(lambda: head.training_step(batch, 0))
    options = {"base": configs, "gradient_checkpointing": gradient_checkpointing}
    plan = plan_step(options, clips=2, frames=4, size=64)
    assert plan.step.held == pytest.approx(real.held, rel=0.03)
    assert plan.step.peak == pytest.approx(real.peak, rel=0.05)
    trained = [parameter for parameter in head.parameters() if parameter.requires_grad]
    assert plan.trained == sum(parameter.numel() for parameter in trained)
    everything = sum(tensor.nbytes for tensor in (*head.parameters(), *head.buffers()))
    assert plan.frozen == everything - 4 * plan.trained


@pytest.mark.slow
def test_every_setting_saves_what_it_says(configs):
    shape = {"clips": 1, "frames": 4, "size": 64, "autocast": torch.float16}
    options = {"base": configs, "frozen_dtype": "16", "gradient_checkpointing": True}
    usual = plan_step(options, **shape)
    assert plan_step(options | {"frozen_dtype": "32"}, **shape).frozen > 1.9 * usual.frozen
    assert plan_step(options | {"gradient_checkpointing": False}, **shape).step.held > usual.step.held
    eight = plan_step(options | {"memory": MemoryArgs(eight_bit=True)}, **shape)
    assert 0.5 * usual.frozen < eight.frozen < usual.frozen
    away = plan_step(options | {"memory": MemoryArgs(offload=True, park_encoders=True)}, **shape)
    assert away.frozen + away.on_host == usual.frozen
    assert away.on_host > 0


@pytest.mark.slow
def test_a_base_of_others_parts_is_planned(tiny_assembled):
    """It predicts noise, which asks the schedule's numbers, and hears by a speech model.

    torch keeps a list of what obeys its meta device. Where transformers has loaded a model, the list was made while
    `linspace` was another's, and schedules have numbers even there; in a process that only plans they have none.
    """
    torch.utils._device._device_constructors.cache_clear()
    plan = plan_step({"base": str(tiny_assembled)}, clips=1, frames=4, size=64)
    trained = [parameter for parameter in TalkingHead(str(tiny_assembled)).parameters() if parameter.requires_grad]
    assert plan.trained == sum(parameter.numel() for parameter in trained)
    assert plan.step.peak > 0


@pytest.mark.slow
def test_one_card_of_eight_gigabytes_holds_a_step_of_stable_diffusions_size():
    """As in configs/low_memory.yaml, which says so; a CUDA context and workspaces take about 1 GB beside it."""
    settings = yaml.safe_load((ROOT / "configs" / "low_memory.yaml").read_text())["module"]["init_args"]
    memory = MemoryArgs(**settings.pop("memory"))
    head = LARGE.build_head("meta", **settings, memory=memory).train()
    batch = {name: part.to("meta") for name, part in draw_step(LARGE, everything=True).items()}
    with torch.device("meta"):
        step = measure_step(lambda: head.training_step(batch, 0), torch.float16)
    frozen = sum(part.nbytes for part in (*head.parameters(), *head.buffers()) if not part.requires_grad)
    states = sum(3 * part.nbytes for part in head.parameters() if part.requires_grad)
    assert 5e9 < frozen + states + step.peak < 7e9


@pytest.mark.gpu
@pytest.mark.usefixtures("dearest_step")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_needs_what_was_planned(tiny_base, configs):
    """Workspaces and rounding are not planned, and weigh much in a model this small."""
    options = {"frozen_dtype": "16", "gradient_checkpointing": True}
    plan = plan_step({"base": configs, **options}, clips=8, frames=8, size=64, autocast=torch.float16)
    before = torch.cuda.memory_allocated()
    head = TalkingHead(str(tiny_base), **options).cuda()
    batch = {name: tensor.cuda() for name, tensor in make_batch(head, clips=8, frames=8).items()}
    optimizers = head.configure_optimizers()
    for number in range(2):
        torch.cuda.reset_peak_memory_stats()
        with torch.autocast("cuda", torch.float16):
            loss = head.training_step(batch, number)
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert 0.5 * plan.peak < torch.cuda.max_memory_allocated() - before < 2 * plan.peak
