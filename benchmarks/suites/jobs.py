"""Does one job of a suite in a folder of its own: trains, scores, and is done by one rename."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

import train
from benchmarks.suites.args import GenerationArgs, Settings
from benchmarks.suites.generation import score_generated
from benchmarks.suites.plan import Job, merge
from benchmarks.suites.scores import Adapters, Scoring, score_losses
from datamodules.pooled import EVERYONE
from evaluation.scores import save_scores
from federation.checkpoints import RoundFolders
from whole_files import replace_folder

SCORES, GENERATED = "scores.csv", "generated.csv"
TOGETHER = "together"
"""Name of the run of all clients; a client that trains alone gives its own name to its run."""


@dataclass(frozen=True)
class Bench:
    """Where the jobs of a suite are done, and how they are scored."""

    root: Path
    """Holds a folder for each job."""
    people: tuple[str, ...]
    """Everybody who is trained on and scored."""
    clean: Settings
    """The `data` section of the settings that all jobs are scored on."""
    batches: int
    """Held-out batches of each person."""
    generation: GenerationArgs
    generated: frozenset[str]
    """Keys of the jobs whose held-out clips are generated and scored, too."""
    threads: int | None
    """Of torch, in each process; None leaves them as they are."""

    def folder(self, job: Job) -> Path:
        """Return where a finished job lies."""
        return self.root / job.key

    def is_done(self, job: Job) -> bool:
        """Return whether a job is scored in every way that is asked for; its adapters may be gone."""
        last = GENERATED if job.key in self.generated else SCORES
        return (self.folder(job) / last).is_file()

    def has_adapters(self, job: Job) -> bool:
        """Return whether the adapters of a finished job are there; of committed results there are scores alone."""
        runs = self.people if job.alone else (TOGETHER,)
        return all(_has_adapters(self.folder(job) / "runs" / run) for run in runs)


def do_job(job: Job, bench: Bench) -> None:
    """Train and score a job, going on where an interrupted one was left.

    What stands of it stands until there is more: clips are generated with the adapters of a finished job, and a job
    whose adapters are gone is trained and scored in another folder, which then takes its place.
    """
    if bench.threads is not None:
        torch.set_num_threads(bench.threads)
    folder = bench.folder(job)
    if bench.has_adapters(job):
        return _do_in(folder, job, bench)
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    _do_in(partial, job, bench)
    replace_folder(partial, folder)


def find_adapters(folder: Path, people: tuple[str, ...]) -> Mapping[str, Adapters]:
    """Return what each person ends up with after a job: adapters of the common run, or of one's own."""
    found = {}
    for person in people:
        is_alone = (folder / "runs" / person).is_dir()
        run = folder / "runs" / (person if is_alone else TOGETHER)
        owner = EVERYONE if (run / "clients" / EVERYONE).is_dir() else person
        identity = run / "clients" / owner / "identity"
        found[person] = Adapters(run / "global", identity if identity.is_dir() else None, is_federated=not is_alone)
    return found


def _do_in(folder: Path, job: Job, bench: Bench) -> None:
    with (folder / "log.txt").open("a") as log, redirect_stdout(log), redirect_stderr(log):
        _train_runs(job, bench, folder)
        _score_runs(job, bench, folder)


def _train_runs(job: Job, bench: Bench, folder: Path) -> None:
    """Train all clients together, or each by itself."""
    settings = yaml.safe_load(job.settings)
    if job.start is not None:
        start = str(bench.folder(job.start) / "runs" / TOGETHER / "global")
        settings = merge(settings, {"module": {"init_args": {"shared_start": start}}})
    if not job.alone:
        return _train(settings, folder / "runs" / TOGETHER)
    for person in bench.people:
        _train(merge(settings, {"data": {"init_args": {"people": [person]}}}), folder / "runs" / person)


def _train(settings: Settings, run: Path) -> None:
    """Run `train.py`, or go on with an interrupted run; its round folders are not kept once it is done."""
    if _has_adapters(run):
        return
    partial = run.with_name(f"{run.name}.partial")
    latest = RoundFolders(partial / "checkpoints").latest()
    if latest is not None and latest.rounds_done < settings["federation"]["rounds"]:
        train.run(["--resume", str(partial)])
    else:  # a run that did its last round cannot be resumed, and its adapters may not be written yet
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "settings.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        train.run(["--config", str(partial / "settings.yaml"), "--out_dir", str(partial)])
    shutil.rmtree(partial / "checkpoints")
    partial.rename(run)


def _has_adapters(run: Path) -> bool:
    return (run / "global").is_dir()


def _score_runs(job: Job, bench: Bench, folder: Path) -> None:
    """Write the scores that are not there yet."""
    scoring, adapters = Scoring.open(job.settings, bench.clean), find_adapters(folder, bench.people)
    if not (folder / SCORES).is_file():
        save_scores(folder / SCORES, score_losses(scoring, adapters, bench.batches))
    has_clips = (folder / GENERATED).is_file()
    # Scores of clips that stand are not lost where a job is trained again for its adapters alone.
    if not has_clips and (job.key in bench.generated or (bench.folder(job) / GENERATED).is_file()):
        save_scores(folder / GENERATED, score_generated(scoring, adapters, bench.generation))
