"""The command writes judges with their accuracy beside them, and goes on where it was stopped."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from commandline import run_command
from datamodules.demo.people import make_demo_people
from evaluation.judges.__main__ import train_judges
from evaluation.judges.available import find_judges
from evaluation.judges.training import BATCHES

STEPS = {"landmark_steps": 2, "sync_steps": 2, "identity_steps": 2}


def test_an_accelerator_that_cannot_be_had_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="abacus"):
        train_judges(accelerator="abacus")
    assert run_command(train_judges, argv=["--accelerator", "tpu"]) == 2, "Lightning would look for torch_xla"
    assert not list(tmp_path.iterdir())


def test_the_help_of_steps_tells_each_batch():
    told = dict(re.findall(r"(\w+)_steps: Optimizer steps of [^,]+, (.+)\.", inspect.getdoc(train_judges)))
    for name, batch in BATCHES.items():
        assert told[name.removesuffix("s")].startswith(str(batch))


@pytest.mark.slow
def test_the_command_trains_writes_and_scores(tmp_path):
    make_demo_people(tmp_path / "people", range(1000, 1002))
    places = {"data_root": str(tmp_path / "people"), "held_out": str(tmp_path / "people"), "base": None}
    places |= {"out": str(tmp_path / "judges"), "work": str(tmp_path / "work"), "accelerator": "cpu"}
    train_judges(**places, **STEPS)
    card = (tmp_path / "judges" / "README.md").read_text()
    log = json.loads((tmp_path / "judges" / "training.json").read_text())
    assert find_judges(tmp_path / "judges").sync is not None
    assert "on 2 public demo people" in card
    assert "through the VAE |" not in card
    assert log["held_out"]["landmarks"]["recorded"]["mean"] > 1
    assert set(log["held_out"]["identity"]) == {"recorded", "others' rooms"}

    (tmp_path / "judges" / "alexnet.safetensors").touch()
    train_judges(**places, **STEPS)
    again = json.loads((tmp_path / "judges" / "training.json").read_text())
    assert again["sync"]["losses"] == log["sync"]["losses"]
    assert again["held_out"] == log["held_out"]
    assert (tmp_path / "judges" / "alexnet.safetensors").is_file()
