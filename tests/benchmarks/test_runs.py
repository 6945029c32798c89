"""Commands that read a run back must find its model, its people and its adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benchmarks.personalisation import measure_personalisation
from benchmarks.real_people import measure_real_people
from benchmarks.runs import open_run
from datamodules.demo.people import make_demo_people
from datamodules.demo.seeds import HELD_OUT_SEEDS
from datamodules.kept_splits import FILE
from lightning_modules.talking_head import TalkingHead
from tests.tiny_model import make_tiny_base
from whole_files import save_text

PEOPLE = ("p2000", "p2001")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Two people and the adapters of a run that never trained."""
    folder = tmp_path_factory.mktemp("run")
    base, root = str(make_tiny_base(folder / "base")), str(folder / "people")
    make_demo_people(root, HELD_OUT_SEEDS[:2], clips_per_person=2)
    module = TalkingHead(base)
    notes = {"global_adapter": "0", "round": 1}
    module.export_adapter("shared", folder / "global", **notes)
    for person in PEOPLE:
        module.export_adapter("identity", folder / "clients" / person / "identity", **notes)
    config = {
        "module": {"class_path": "lightning_modules.talking_head.TalkingHead", "init_args": {"base": base}},
        "data": {
            "class_path": "datamodules.clients.ClientDataModule",
            "init_args": {"root": root, "crop": "none"},
        },
        "accelerator": "cpu",
        "devices": 2,
        "out_dir": str(folder),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.slow
def test_what_the_run_held_out_is_what_is_scored(run, tmp_path):
    for part in run.iterdir():
        (tmp_path / part.name).symlink_to(part)
    save_text(tmp_path / FILE, json.dumps({"p2000": {"clip_00.mp4": "test", "clip_01.mp4": "train"}}))
    data = open_run(tmp_path).data
    held_out = [[clip.source for clip in data.splits(person)["test"]] for person in PEOPLE]
    assert held_out == [["clip_00.mp4"], ["clip_01.mp4"]]


@pytest.mark.slow
def test_real_people_are_scored_beside_noise_and_a_static_copy(run, tmp_path, capsys):
    out = tmp_path / "real.json"
    measure_real_people(str(run), frames=9, steps=1, out=str(out))
    report = json.loads(out.read_text())["people"]
    kinds = ["noise", "static copy", "base", "global adapter", "own adapter", "recorded"]
    assert {person: list(rows) for person, rows in report.items()} == {person: kinds for person in PEOPLE}
    for rows in report.values():
        assert rows["recorded"]["PSNR"] == 100
        assert rows["static copy"]["PSNR"] > rows["noise"]["PSNR"]
        assert rows["own adapter"] == pytest.approx(rows["base"], abs=0.2)  # adapters that change nothing
    assert "| p2001 | own adapter |" in capsys.readouterr().out


@pytest.mark.slow
def test_adapters_that_never_trained_gain_nothing(run, tmp_path):
    gain, _ = measure_personalisation(str(run), batches=1, out=str(tmp_path / "matrix.json"))
    assert gain.value == pytest.approx(0, abs=1e-4)
    assert not gain.met


@pytest.mark.slow
def test_a_run_is_opened_with_its_people_somewhere_else(run, tmp_path):
    make_demo_people(tmp_path, HELD_OUT_SEEDS[2:3], clips_per_person=2)
    opened = open_run(run, f"--data.root={tmp_path}")
    assert opened.data.clients == ["p2002"]
    assert opened.fabric.world_size == 1
