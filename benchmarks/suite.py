"""Compares ways to train, all on the same footing: `python benchmarks/suite.py --config configs/suites/demo.yaml`.

A suite is a list of comparisons, the most important first. A row of one is a set of options of `train.py`, trained with
each seed and scored on the same held-out clips; equal rows are trained once. All rows have a seed before any has the
next. A suite can be stopped at any time and goes on where it was; its report then says which rows were not run. The
scores of the last report stand beside it, so it goes on from there on another machine, too; their adapters do not, and
rows whose adapters are asked for (to generate clips, or to start from) are trained again:

    mkdir -p runs && cp -r benchmarks/results/suite runs/suite_demo
"""

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

import yaml

from benchmarks.suites.args import Comparison, GenerationArgs, Settings
from benchmarks.suites.common_settings import demand_same_settings, describe_common_settings
from benchmarks.suites.jobs import Bench, do_job
from benchmarks.suites.plan import Job, Plan, make_plan, merge
from benchmarks.suites.report import write_report
from benchmarks.suites.results import Results
from benchmarks.suites.schedule import Clock, do_jobs
from commandline import run_command
from datamodules.demo.folders import fill_if_demo
from datamodules.reading.layouts import find_recordings
from train import DEFAULTS

ONE_DEVICE = {"devices": 1, "strategy": "auto"}
"""A job has one device: jobs run beside each other instead."""


def run_suite(
    comparisons: dict[str, Comparison],
    train: str = "configs/demo.yaml",
    settings: Settings | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    batches: int = 8,
    generation: GenerationArgs | None = None,
    only: list[str] | None = None,
    budget: float | None = None,
    processes: int = 2,
    out: str = "runs/suite",
) -> None:
    """Train and score what is not done yet, and report all that is.

    Args:
        comparisons: What is compared, the most important first.
        train: Config of `train.py` that all rows start from.
        settings: Options of `train.py` over it, for all rows.
        seeds: Each row is trained with each of them.
        batches: Held-out batches of each person.
        generation: How clips are generated where a comparison asks for it.
        only: Some of the comparisons; all if not given.
        budget: Hours in which all shall end; no training begins that could last longer.
        processes: Trainings at the same time.
        out: Folder of the suite.
    """
    if processes < 1:
        raise ValueError(f"`--processes` must be at least 1. Got {processes}.")
    chosen = choose(comparisons, only)
    shared = merge(DEFAULTS, yaml.safe_load(Path(train).read_text()), settings or {}, ONE_DEVICE)
    plan = make_plan(chosen, shared, seeds)
    clean = shared["data"]
    people = find_people(clean["init_args"], processes)
    bench = Bench(
        root=Path(out) / "jobs",
        people=people,
        clean=clean,
        batches=batches,
        generation=generation or GenerationArgs(),
        generated=frozenset(job.key for (name, _, _), job in plan.places.items() if chosen[name].generate),
        threads=None if processes == 1 else max(1, (os.cpu_count() or 1) // processes),
    )
    demand_same_settings(Path(out) / "footing.yaml", describe_common_settings(plan, bench))
    do = partial(do_job, bench=bench)
    failures = do_jobs(plan.jobs, do, bench.is_done, bench.has_adapters, processes, Clock(budget), partial(tell, plan))
    print(write_report(Path(out), gather(chosen, plan, bench), seeds, failures))
    if failures:
        raise RuntimeError(f"{len(failures)} trainings failed; see their log.txt in {bench.root}.")


def tell(plan: Plan, job: Job, what: str) -> None:
    """Print what became of a job, under the first row that it serves."""
    name, row, seed = next(place for place, other in plan.places.items() if other == job)
    print(f"{name}: {row}, seed {seed} ({job.key}): {what}", flush=True)


def choose(comparisons: Mapping[str, Comparison], only: list[str] | None) -> dict[str, Comparison]:
    """Return the comparisons that are asked for, in the order of the config.

    Raises:
        ValueError: If one of them is not there.
    """
    if unknown := set(only or ()) - comparisons.keys():
        raise ValueError(f"`--only` must name comparisons: {', '.join(comparisons)}. Got {', '.join(sorted(unknown))}.")
    return {name: comparison for name, comparison in comparisons.items() if only is None or name in only}


def find_people(data: Mapping[str, Any], processes: int) -> tuple[str, ...]:
    """Return whose recordings a `data` section names; the demo people are drawn if they are not there yet."""
    fill_if_demo(data["root"], data.get("size", 64), processes)
    return tuple(find_recordings(data["root"], data.get("people")))


def gather(comparisons: Mapping[str, Comparison], plan: Plan, bench: Bench) -> dict[str, Results]:
    """Return what is done of each comparison."""
    return {
        name: Results(
            comparison, {(row, seed): job for (at, row, seed), job in plan.places.items() if at == name}, bench.root
        )
        for name, comparison in comparisons.items()
    }


if __name__ == "__main__":
    sys.exit(run_command(run_suite))
