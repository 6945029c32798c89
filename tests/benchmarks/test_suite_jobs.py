"""A job goes on where it was, and everyone is scored with the adapters that are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import suite_jobs
from benchmarks.suite_jobs import find_adapters
from datamodules.pooled import EVERYONE
from federation.checkpoints import RoundFolders
from federation.server_state import ServerState

SETTINGS = {"federation": {"rounds": 2}}


@pytest.fixture
def asked(monkeypatch) -> list[list[str]]:
    """Return what `train.py` is asked to do; each time it does all rounds."""
    asked: list[list[str]] = []

    def run(argv: list[str]) -> None:
        asked.append(argv)
        leave_rounds(Path(argv[-1]), 2)

    monkeypatch.setattr(suite_jobs.train, "run", run)
    return asked


def leave_rounds(run: Path, count: int) -> None:
    """Leave what a run leaves after so many rounds."""
    folders = RoundFolders(run / "checkpoints")
    folders.begin(count)
    folders.commit(ServerState(count, torch.zeros(3), 1.0, 0, "base"))


def test_a_run_is_trained_once_and_keeps_no_rounds(asked, tmp_path):
    suite_jobs._train(SETTINGS, tmp_path / "runs" / "ann.b")
    suite_jobs._train(SETTINGS, tmp_path / "runs" / "ann.b")
    assert [argv[0] for argv in asked] == ["--config"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["ann.b"]
    assert not (tmp_path / "runs" / "ann.b" / "checkpoints").exists()


@pytest.mark.parametrize(("rounds", "way"), [(1, "--resume"), (2, "--config")])
def test_an_interrupted_run_goes_on_unless_only_its_end_is_missing(asked, tmp_path, rounds, way):
    partial = tmp_path / "together.partial"
    leave_rounds(partial, rounds)
    suite_jobs._train(SETTINGS, tmp_path / "together")
    assert [argv[0] for argv in asked] == [way]
    assert (tmp_path / "together").is_dir()
    assert not partial.exists()


def adapters_after(folder: Path, *left: str) -> dict[str, tuple[str, str | None, bool]]:
    """Return, by person, which adapters are found in a job that left these folders."""
    for name in left:
        (folder / "runs" / name).mkdir(parents=True)
    found = find_adapters(folder, ("ann", "bob"))
    names = {person: (one.shared, one.identity, one.is_federated) for person, one in found.items()}
    runs = folder / "runs"
    return {
        person: (str(shared.relative_to(runs)), identity and str(identity.relative_to(runs)), federated)
        for person, (shared, identity, federated) in names.items()
    }


def test_in_a_federation_the_global_adapter_is_everybodys(tmp_path):
    found = adapters_after(
        tmp_path, "together/global", "together/clients/ann/identity", "together/clients/bob/identity"
    )
    assert found["bob"] == ("together/global", "together/clients/bob/identity", True)


def test_without_an_identity_adapter_there_is_the_global_one(tmp_path):
    assert adapters_after(tmp_path, "together/global")["ann"] == ("together/global", None, True)


def test_of_pooled_clips_both_adapters_are_everybodys(tmp_path):
    pooled = f"together/clients/{EVERYONE}/identity"
    assert adapters_after(tmp_path, "together/global", pooled)["ann"] == ("together/global", pooled, True)


def test_who_trains_alone_has_adapters_alone(tmp_path):
    found = adapters_after(tmp_path, "ann/global", "ann/clients/ann/identity", "bob/global", "bob/clients/bob/identity")
    assert found["bob"] == ("bob/global", "bob/clients/bob/identity", False)
