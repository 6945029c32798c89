"""A plan needs no weights and no clips, and grows with what is asked for."""

from __future__ import annotations

import shutil

import pytest
import torch

import planning
import train
from lightning_modules.efficiency.footprint import Footprint
from lightning_modules.efficiency.step_plan import StepPlan, plan_step

STEP = StepPlan(2_000_000_000, 0, trained=1_000_000, encoding=20_000, step=Footprint(10**12, 10**9, 10**9))


@pytest.fixture
def argv(tiny_base, tmp_path) -> list[str]:
    """Options of a run whose base model is configs alone, and whose clips are three empty files."""
    shutil.copytree(tiny_base, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors"))
    for person in ("ann", "bo", "cy"):
        (tmp_path / "people" / person).mkdir(parents=True)
        (tmp_path / "people" / person / "clip.mp4").touch()
    places = [f"--module.base={tmp_path / 'base'}", f"--data.root={tmp_path / 'people'}"]
    return ["--plan", *places, f"--out_dir={tmp_path / 'run'}", "--devices=2", "--federation.local_steps=5"]


@pytest.fixture
def one_step(monkeypatch) -> None:
    """Have one step stand for both of a plan, with and without gradient checkpointing: each takes seconds."""
    planned: list[StepPlan] = []

    def plan_once(*args: object, **kwargs: object) -> StepPlan:
        planned.append(planned[0] if planned else plan_step(*args, **kwargs))
        return planned[0]

    monkeypatch.setattr(planning, "plan_step", plan_once)


@pytest.mark.slow
@pytest.mark.usefixtures("one_step")
def test_a_plan_is_printed_and_nothing_is_begun(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train.py", *argv, "--accelerator=cuda", "--precision=16-mixed"])
    assert train.main() == 0
    said = capsys.readouterr().out
    for part in ("frozen weights", "peak of a training step", "with gradient checkpointing"):
        assert part in said
    if not torch.cuda.is_available():
        assert "training steps of a round     unknown here" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_time_is_the_work_of_the_busiest_device(argv, monkeypatch):
    monkeypatch.setattr(planning, "plan_step", lambda *_, **__: STEP)
    monkeypatch.setattr(planning, "measure_rate", lambda *_: 8e12)
    chosen = train.make_parser(argv).parse_args([*argv, "--accelerator=cpu"])
    assert planning.plan_run(chosen).round_seconds == 2 * 5 * 1e12 / (planning.ATTAINED * 8e12)


@pytest.mark.slow
def test_another_module_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train.py", "--plan", "--module=tests.tiny_command.CommandModule"])
    assert train.main() == 2
    assert "`--plan` knows lightning_modules.talking_head.TalkingHead only" in capsys.readouterr().err


def test_peak_is_the_sum_of_its_parts():
    assert STEP.peak == 2_000_000_000 + 12_000_000 + 10**9
    plan = str(planning.RunPlan(STEP, STEP, checkpointing=True, minute=10**8, kept=True, round_seconds=12.3))
    assert "3.01 GB (without it 3.01 GB)" in plan
    assert "about 12 s" in plan


def test_the_rate_of_a_matrix_product_is_measured():
    assert 1e8 < planning.measure_rate(torch.device("cpu"), torch.float32, seconds=0.01) < 1e15
