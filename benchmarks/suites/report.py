"""The report of a suite: a section for each comparison, with tables, pictures, and whatever was not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.suites.pictures import draw_curve, draw_intervals
from benchmarks.suites.results import FIGURES, Results
from benchmarks.suites.scores import HELD_OUT_LOSS
from evaluation.catalogue import LOCAL
from evaluation.comparisons import HEADLINES
from evaluation.reporting.markdown import markdown_table
from evaluation.scores import Score, save_scores
from evaluation.statistics import Estimate
from evaluation.systems import OWN, SHARED
from evaluation.table import Cells
from whole_files import save_text

NOT_RUN = "not run"

SHOWN = (HELD_OUT_LOSS, *HEADLINES, "change ratio")
"""Metrics that get a table; all others are in scores.csv."""

HOW_TO_READ = """\
Every row is trained by `train.py` with the seeds named, and scored on the same held-out clips, times and noise; clips
are generated from the same start noise, with the pose given where it is known. Means are over people and seeds. A
difference is paired, on the people, clips and seeds that both rows have: its first brackets hold the 95 % bootstrap
interval over people, those after `t` Student's. `*` marks a difference whose intervals exclude 0; nothing is corrected
for the number of rows. Three people or fewer are listed one by one, without an interval. Lower losses are better.
Intervals say how far a result holds for other people like these. Nothing in them tells of another seed, other noise or
another base model. Where rows have different seeds, means say which: they may differ by the seeds alone, and paired
differences do not. Noise to signal is `>=` where a sum shows no signal: beyond that figure none could be told from the
noise's own ups and downs.
"""


def write_report(
    folder: Path, everything: Mapping[str, Results], seeds: Sequence[int], failures: Mapping[str, str]
) -> str:
    """Write `report.md`, `scores.csv` and the pictures of all comparisons; return the report.

    Args:
        folder: Where to.
        everything: What is finished of each comparison, by name.
        seeds: Those that were asked for.
        failures: By the keys of jobs that failed, why.
    """
    sections = [_write_section(folder, name, results, seeds, failures) for name, results in everything.items()]
    text = "\n\n".join(["# What a suite of trainings showed", HOW_TO_READ.strip(), *sections]) + "\n"
    save_text(folder / "report.md", text)
    save_scores(folder / "scores.csv", _name_scores(everything))
    return text


def describe(estimate: Estimate | None) -> str:
    """Return a mean with its intervals, or each person's where they are too few for one."""
    if estimate is None:
        return NOT_RUN
    if estimate.low is None:
        listed = ", ".join(f"{person} {value:.4g}" for person, value in estimate.people.items())
        return f"{estimate.mean:.4g} ({listed})"
    parts = [f"{estimate.mean:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"]
    if estimate.t_low is not None:
        parts.append(f"t [{estimate.t_low:.4g}, {estimate.t_high:.4g}]")
    return " ".join(parts)


def _write_section(folder: Path, name: str, results: Results, seeds: Sequence[int], failures: Mapping[str, str]) -> str:
    comparison = results.comparison
    parts = [f"## {name}", comparison.question]
    if comparison.leave_out:
        parts.append(f"Scores of {', '.join(comparison.leave_out)} do not count.")
    parts.append(_tell_progress(results, seeds, failures))
    for given in (OWN, SHARED):
        means, differences = results.means(given), results.differences(given)
        for metric in _order({metric for _, metric in means}):
            parts.append(_make_table(results, f"{metric}, {given}", metric, means, differences))
            if metric == HELD_OUT_LOSS:
                parts += _draw_pictures(folder, f"{name}_{given}".replace(" ", "_"), results, differences)
    notes = [f"- {cell}: {settings.note}" for cell, settings in comparison.cells.items() if settings.note]
    return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def _tell_progress(results: Results, seeds: Sequence[int], failures: Mapping[str, str]) -> str:
    """Return which seeds of each cell are finished, and the figures of its runs."""
    rows = []
    for cell in results.comparison.cells:
        done, keys = results.seeds(cell), [results.jobs[cell, seed].key for seed in seeds]
        state = f"seeds {', '.join(map(str, done))}" if done else NOT_RUN
        failed = sorted({f"failed: {failures[key]}" for key in keys if key in failures})
        figures = [results.describe_figure(cell, tag) for tag in FIGURES]
        rows.append([cell, "; ".join([state, *failed]), *figures])
    return markdown_table(["row", "finished", *FIGURES.values()], rows)


def _make_table(results: Results, title: str, metric: str, means: Cells, differences: Cells) -> str:
    """Return a row per cell; one that is finished but has no such score, such as a global adapter, is left out."""
    rows = []
    for cell in results.comparison.cells:
        mean, difference = means.get((cell, metric)), differences.get((cell, metric))
        if mean is None and results.seeds(cell):
            continue
        reference = results.comparison.reference(cell) or ""
        mark = "*" if difference is not None and difference.excludes_zero else ""
        rows.append(
            [cell, _tell(results, cell, mean, means), describe(difference) if reference else "", mark, reference]
        )
    return markdown_table([title, "mean", "difference", "", "to"], rows)


def _tell(results: Results, cell: str, mean: Estimate | None, means: Cells) -> str:
    """Return a mean, and what there is less of in it than in other rows: seeds, and people with a score."""
    seeds = results.seeds(cell)
    others = {tuple(results.seeds(other)) for other in results.comparison.cells} - {()}
    less = [f"seed {', '.join(map(str, seeds))}"] if mean is not None and len(others) > 1 else []
    most = max((len(other.people) for other in means.values()), default=0)
    less += [f"{len(mean.people)} of {most} people"] if mean is not None and len(mean.people) < most else []
    return " ".join([describe(mean), *([f"({', '.join(less)})"] if less else [])])


def _draw_pictures(folder: Path, stem: str, results: Results, differences: Cells) -> list[str]:
    """Draw the differences of the held-out loss and, where asked for, a curve; return links to the pictures."""
    links, comparison = [], results.comparison
    found = {cell: at for (cell, metric), at in differences.items() if metric == HELD_OUT_LOSS}
    drawn = {f"{cell} - {comparison.reference(cell)}": at for cell, at in found.items()}
    if drawn:
        draw_intervals(folder / f"{stem}.png", f"{HELD_OUT_LOSS}, differences", drawn)
        links.append(f"![{HELD_OUT_LOSS}, differences]({stem}.png)")
    places = {cell: results.figure(cell, comparison.curve) for cell in found} if comparison.curve else {}
    points = {places[cell]: found[cell] for cell in places if places[cell] is not None}
    levels = {cell: found[cell].mean for cell in places if places[cell] is None} | {comparison.against: 0.0}
    if len(points) > 1:
        axes = FIGURES.get(comparison.curve, comparison.curve), f"{HELD_OUT_LOSS}, difference to {comparison.against},"
        draw_curve(folder / f"{stem}_curve.png", axes, points, levels)
        links.append(f"![{axes[1]} over {axes[0]}]({stem}_curve.png)")
    return links


def _order(metrics: set[str]) -> list[str]:
    """Return the metrics that are shown, in the order of `SHOWN`."""
    known = {metric.removesuffix(LOCAL): metric for metric in metrics}
    return [known[metric] for metric in SHOWN if metric in known]


def _name_scores(everything: Mapping[str, Results]) -> list[Score]:
    """Return every score under the name of its comparison, cell, seed and what the model was given."""
    return [
        replace(score, system=f"{name}: {cell}, seed {seed}, {score.system}")
        for name, results in everything.items()
        for (cell, seed), scores in results.scores.items()
        for score in scores
    ]
