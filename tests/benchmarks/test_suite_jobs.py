"""A job goes on where it was, and everyone is scored with the adapters that are theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.suites import jobs
from benchmarks.suites.args import GenerationArgs
from benchmarks.suites.jobs import Bench, do_job, find_adapters
from benchmarks.suites.plan import Job
from datamodules.pooled import EVERYONE
from evaluation.scores import Score, read_scores, save_scores
from evaluation.systems import SHARED
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
        (Path(argv[-1]) / "global").mkdir()

    monkeypatch.setattr(jobs.train, "run", run)
    return asked


def leave_rounds(run: Path, count: int) -> None:
    """Leave what a run leaves after so many rounds."""
    folders = RoundFolders(run / "checkpoints")
    folders.begin(count)
    folders.commit(ServerState(count, torch.zeros(3), 1.0, 0, "base"))


def test_a_run_is_trained_once_and_keeps_no_rounds(asked, tmp_path):
    jobs._train(SETTINGS, tmp_path / "runs" / "ann.b")
    jobs._train(SETTINGS, tmp_path / "runs" / "ann.b")
    assert [argv[0] for argv in asked] == ["--config"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["ann.b"]
    assert not (tmp_path / "runs" / "ann.b" / "checkpoints").exists()


@pytest.mark.parametrize(("rounds", "way"), [(1, "--resume"), (2, "--config")])
def test_an_interrupted_run_goes_on_unless_only_its_end_is_missing(asked, tmp_path, rounds, way):
    partial = tmp_path / "together.partial"
    leave_rounds(partial, rounds)
    jobs._train(SETTINGS, tmp_path / "together")
    assert [argv[0] for argv in asked] == [way]
    assert (tmp_path / "together").is_dir()
    assert not partial.exists()


JOB = Job("key", yaml.safe_dump(SETTINGS), False, None)


@pytest.fixture
def bench(tmp_path) -> Bench:
    """Return a bench that wants the job's clips generated."""
    return Bench(tmp_path, ("ann", "bob"), {}, 1, GenerationArgs(), frozenset({"key"}), None)


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """Return what is measured, in place of models; clips are generated only with adapters, and may fail."""
    scored: list[str] = []

    def measure(_, adapters, batches) -> list[Score]:
        scored.append("losses")
        return [Score(SHARED, person, "", "held-out loss", 2.0) for person in adapters]

    def generate(_, adapters, args) -> list[Score]:
        scored.append("clips")
        if not all(one.shared.is_dir() for one in adapters.values()):
            raise FileNotFoundError("No adapter.")
        return [Score(SHARED, person, "1", "PSNR", 20.0) for person in adapters]

    monkeypatch.setattr(jobs.Scoring, "open", lambda *_: None)
    monkeypatch.setattr(jobs, "score_losses", measure)
    monkeypatch.setattr(jobs, "score_generated", generate)
    return scored


def commit_scores(folder: Path) -> None:
    """Leave what is committed of a finished job: scores and figures, and no adapters."""
    save_scores(folder / "scores.csv", [Score(SHARED, "ann", "", "held-out loss", 1.0)])
    (folder / "runs" / "together").mkdir(parents=True)
    (folder / "runs" / "together" / "metrics.csv").write_text("round,tag,value\n")


def test_committed_scores_stand_until_there_are_new_ones(asked, scored, bench, monkeypatch):
    commit_scores(bench.root / "key")
    assert not bench.has_adapters(JOB)
    with monkeypatch.context() as broken:
        broken.setattr(jobs.train, "run", fail)
        with pytest.raises(RuntimeError):
            do_job(JOB, bench)
    assert read_scores(bench.root / "key" / "scores.csv")[0].value == 1.0
    do_job(JOB, bench)
    assert (asked[0][0], scored) == ("--config", ["losses", "clips"])
    assert [path.name for path in bench.root.iterdir()] == ["key"]
    assert {score.value for score in read_scores(bench.root / "key" / "scores.csv")} == {2.0}
    assert bench.is_done(JOB)
    assert bench.has_adapters(JOB)


def test_what_is_trained_again_has_all_scores_that_stood(asked, scored, bench):
    commit_scores(bench.root / "key")
    save_scores(bench.root / "key" / "generated.csv", [Score(SHARED, "ann", "1", "PSNR", 10.0)])
    do_job(JOB, replace(bench, generated=frozenset()))
    assert {score.value for score in read_scores(bench.root / "key" / "generated.csv")} == {20.0}


def test_a_finished_job_stays_where_it_is_while_its_clips_are_generated(asked, scored, bench, monkeypatch):
    do_job(JOB, replace(bench, generated=frozenset()))
    with monkeypatch.context() as broken:
        broken.setattr(jobs, "score_generated", fail)
        with pytest.raises(RuntimeError):
            do_job(JOB, bench)
    assert (bench.folder(JOB) / "scores.csv").is_file()
    assert not bench.is_done(JOB)
    do_job(JOB, bench)
    assert bench.is_done(JOB)
    assert (len(asked), scored) == (1, ["losses", "clips"])


def fail(*_: object) -> None:
    raise RuntimeError("Killed.")


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
