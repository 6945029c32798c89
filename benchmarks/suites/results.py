"""What the finished jobs of a suite say, row by row: scores of all seeds brought together, and figures of the runs."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median

from benchmarks.suites.args import Comparison
from benchmarks.suites.jobs import GENERATED, SCORES, TOGETHER
from benchmarks.suites.plan import Job
from evaluation.scores import Score, read_scores
from evaluation.table import Cells, summarise

SECONDS, NOISE, BYTES = "released/seconds", "released/noise_to_signal", "released/upload_bytes"
FIGURES = {
    SECONDS: "seconds of rounds, by their median",
    "released/epsilon": "epsilon",
    NOISE: "noise to signal",
    BYTES: "upload, bytes",
}
"""What is told of the runs of all clients, by tag of their `metrics.csv`: of the last round. Seconds are the median
round's, times the rounds: jobs run beside others, and some rounds were held up."""


@dataclass(frozen=True)
class Results:
    """The finished jobs of one comparison."""

    comparison: Comparison
    jobs: Mapping[tuple[str, int], Job]
    """By cell and seed, finished or not."""
    root: Path
    """Holds a folder for each finished job."""

    @cached_property
    def scores(self) -> dict[tuple[str, int], list[Score]]:
        """Return the scores of each finished cell and seed, without those of people who are left out."""
        return {
            place: [score for score in self._read(job) if score.person not in self.comparison.leave_out]
            for place, job in self.jobs.items()
            if (self.root / job.key / SCORES).is_file()
        }

    def seeds(self, cell: str) -> list[int]:
        """Return the seeds of a cell that are finished."""
        return [seed for name, seed in self.scores if name == cell]

    def means(self, given: str) -> Cells:
        """Return the mean of each cell and metric over people and seeds, by what the model was given.

        Intervals are over people: the seeds of one person count like clips of one.

        Args:
            given: System of the scores, e.g. `own adapter`.
        """
        return summarise([score for cell in self.comparison.cells for score in self._collect(cell, given)]).means

    def differences(self, given: str) -> Cells:
        """Return the difference of each cell to its reference, over the people, clips and seeds that both have."""
        found: Cells = {}
        for cell in self.comparison.cells:
            reference = self.comparison.reference(cell)
            mine, theirs = self._collect(cell, given), self._collect(reference or cell, given)
            if reference is not None and mine and theirs:
                found |= summarise([*mine, *theirs], reference).differences
        return found

    def figure(self, cell: str, tag: str) -> float | None:
        """Return a figure of the runs of a cell, averaged over its seeds; None where no run has it."""
        values = [_read_figures(self.root / self.jobs[cell, seed].key).get(tag) for seed in self.seeds(cell)]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def describe_figure(self, cell: str, tag: str) -> str:
        """Return a figure as the report shows it: a noise that hides the signal of some seed is `>=` what was seen."""
        figure = self.figure(cell, tag)
        if figure is None:
            return ""
        runs = [_read_figures(self.root / self.jobs[cell, seed].key) for seed in self.seeds(cell)]
        return f">= {figure:.2g}" if tag == NOISE and any(map(_hides_signal, runs)) else f"{figure:.4g}"

    def _collect(self, cell: str, given: str) -> list[Score]:
        """Return the scores of all seeds of a cell, the cell as the system."""
        return [
            replace(score, system=cell, clip=f"{score.clip}, seed {seed}")
            for seed in self.seeds(cell)
            for score in self.scores[cell, seed]
            if score.system == given
        ]

    def _read(self, job: Job) -> list[Score]:
        generated = self.root / job.key / GENERATED
        has_clips = self.comparison.generate and generated.is_file()
        return read_scores(self.root / job.key / SCORES) + (read_scores(generated) if has_clips else [])


def _hides_signal(figures: Mapping[str, float]) -> bool:
    """Return whether a run's noise to signal is the largest that can be told: (D/8)^(1/4), see `callbacks/noise.py`."""
    if not {NOISE, BYTES} <= figures.keys():
        return False
    coordinates = figures[BYTES] / 4  # masked coordinates are integers of 32 bits
    return figures[NOISE] >= 0.999 * (coordinates / 8) ** 0.25


def _read_figures(folder: Path) -> dict[str, float]:
    """Return the figures of a job's common run; a client that trains alone has none to compare."""
    path = folder / "runs" / TOGETHER / "metrics.csv"
    values: dict[str, list[float]] = {}
    if path.is_file():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                values.setdefault(row["tag"], []).append(float(row["value"]))
    figures = {tag: row[-1] for tag, row in values.items()}
    return figures | {tag: median(row) * len(row) for tag, row in values.items() if tag == SECONDS}
