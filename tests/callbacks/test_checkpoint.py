"""Exported adapters: whole folders, the right adapter in each, and a note of where they come from."""

from __future__ import annotations

import json

import pytest
import torch

from callbacks.checkpoint import Checkpoint, hash_adapter
from tests.callbacks.parts import make_state


class Exporter:
    """Writes which client's adapters were loaded when it was asked."""

    def __init__(self) -> None:
        self.loaded: str | None = "nobody yet"

    def load(self, client: str | None) -> None:
        self.loaded = client

    def export_adapter(self, name, folder, **notes):
        (folder / "adapter_model.safetensors").write_text(f"{name} of {self.loaded}")
        (folder / "adapter.json").write_text(json.dumps(notes))


@pytest.fixture
def exported(tmp_path):
    module = Exporter()
    for index in range(2):
        state = make_state(index)
        state.load_adapters, state.global_adapter = module.load, torch.full((3,), float(index))
        Checkpoint(module, ["ann", "bob"], tmp_path).on_round_end(state)
    return tmp_path


def test_every_folder_holds_its_own_adapter(exported):
    read = {path.parent.relative_to(exported).as_posix(): path.read_text() for path in exported.rglob("*.safetensors")}
    assert read == {
        "global": "shared of None",
        "clients/ann/identity": "identity of ann",
        "clients/bob/identity": "identity of bob",
    }


def test_the_note_names_global_adapter_and_round(exported):
    notes = json.loads((exported / "clients/ann/identity/adapter.json").read_text())
    assert notes == {"client": "ann", "round": 2, "global_adapter": hash_adapter(torch.ones(3))}
    assert notes["global_adapter"] != hash_adapter(torch.zeros(3))


def test_nothing_unfinished_is_left(exported):
    assert not [path for path in exported.rglob("*") if path.suffix in {".partial", ".old"}]


@pytest.mark.parametrize("left", ["older", ""])
@pytest.mark.parametrize("lost", [None, "global", "clients/bob/identity"])
def test_a_resumed_run_exports_again_what_a_crash_left_behind(exported, lost, left):
    """`exported` is of two rounds; a crash came before `lost` was written in the second, or left its note empty."""
    module, state = Exporter(), make_state(2)
    state.load_adapters, state.global_adapter = module.load, torch.ones(3)
    if lost:
        notes = exported / lost / "adapter.json"
        notes.write_text(notes.read_text().replace('"round": 2', '"round": 1') if left else "")
    Checkpoint(module, ["ann", "bob"], exported).on_run_start(state)
    assert {json.loads(path.read_text())["round"] for path in exported.rglob("adapter.json")} == {2}
    assert module.loaded == ("bob" if lost else "nobody yet")


def test_a_new_run_has_nothing_to_export(tmp_path):
    Checkpoint(Exporter(), ["ann"], tmp_path).on_run_start(make_state())
    assert not list(tmp_path.iterdir())


def test_other_devices_write_nothing(tmp_path):
    state = make_state()
    state.is_main = False
    Checkpoint(Exporter(), ["ann"], tmp_path).on_round_end(state)
    assert not list(tmp_path.iterdir())


def test_a_whole_model_takes_the_place_of_the_global_adapter(tmp_path):
    module, state = Exporter(), make_state()
    state.load_adapters = module.load

    def export(folder):
        (folder / "model.safetensors").write_text("denoiser")
        return {"base": "new"}

    Checkpoint(module, ["ann"], tmp_path, export).on_round_end(state)
    assert [path.name for path in (tmp_path / "global").iterdir()] == ["model.safetensors"]
    assert json.loads((tmp_path / "clients/ann/identity/adapter.json").read_text())["base"] == "new"
