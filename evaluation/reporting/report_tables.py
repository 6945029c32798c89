"""The tables of a report: a row per system, or per person where they are few, and a row per metric of a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan

from evaluation.catalogue import METRICS, SETS, Metric, find_metric
from evaluation.comparisons import compare, list_comparisons
from evaluation.reporting.markdown import markdown_table
from evaluation.scores import Score, systems_of
from evaluation.statistics import TOO_FEW, Estimate
from evaluation.table import Table

ARROWS = {"higher": "↑", "lower": "↓", "nearer 1": "→ 1", "nearer 0": "→ 0"}
NOTHING = "-"
"""What a cell says where a metric does not apply."""


def group_tables(table: Table, people: Sequence[str]) -> Iterator[str]:
    """Yield a headed table for each group of metrics; systems and metrics without any figure are left out."""
    for group in dict.fromkeys(metric.group for metric in METRICS):
        metrics = [name for name in table.metrics if find_metric(name).group == group]
        metrics = [name for name in metrics if any(_known(table, system, name) for system in table.systems)]
        systems = [system for system in table.systems if any(_known(table, system, name) for name in metrics)]
        if not metrics:
            continue
        yield f"\n## {group.capitalize()}\n"
        heads = [_head(name) for name in metrics]
        if len(people) > TOO_FEW or group == SETS:
            rows = [[system, *(_cell(table.mean(system, name), name) for name in metrics)] for system in systems]
            yield markdown_table(["system", *heads], rows)
        else:
            rows = [_person_row(table, system, person, metrics) for system in systems for person in people]
            yield markdown_table(["system", "person", *heads], rows)


def difference_tables(scores: Sequence[Score]) -> Iterator[str]:
    """Yield a headed table for each comparison of two systems."""
    for first, second in list_comparisons(systems_of(scores)):
        table = compare(scores, first, second)
        rows = [_difference_row(name, table.differences.get((first, name))) for name in table.metrics]
        yield f"\n### {first} less {second}\n"
        yield markdown_table(["metric", "difference", "bootstrap", "t", "people better", "excludes 0"], rows)


def _head(name: str) -> str:
    return f"{name} {ARROWS[find_metric(name).better]}"


def _known(table: Table, system: str, metric: str) -> bool:
    cell = table.mean(system, metric)
    return cell is not None and not isnan(cell.mean)


def _cell(cell: Estimate | None, name: str) -> str:
    if cell is None or isnan(cell.mean):
        return NOTHING
    digits = find_metric(name).digits
    return f"{cell.mean:.{digits}f} {_interval(cell.low, cell.high, digits)}".strip()


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f"[{low:.{digits}f}, {high:.{digits}f}]"


def _person_row(table: Table, system: str, person: str, metrics: Sequence[str]) -> list[str]:
    cells = {name: table.mean(system, name) for name in metrics}
    values = {name: None if cell is None else cell.people.get(person) for name, cell in cells.items()}
    shown = [NOTHING if value is None else f"{value:.{find_metric(name).digits}f}" for name, value in values.items()]
    return [system, person, *shown]


def _difference_row(name: str, cell: Estimate | None) -> list[str]:
    if cell is None or isnan(cell.mean):
        return [_head(name), *[NOTHING] * 5]
    metric = find_metric(name)
    digits = metric.digits + 1
    return [
        _head(name),
        f"{cell.mean:+.{digits}f}",
        _interval(cell.low, cell.high, digits) or NOTHING,
        _interval(cell.t_low, cell.t_high, digits) or NOTHING,
        _count_better(cell, metric),
        {None: NOTHING, True: "yes", False: "no"}[cell.excludes_zero],
    ]


def _count_better(cell: Estimate, metric: Metric) -> str:
    """Say for how many people the first system is better; a ratio that should be 1 cannot tell by its difference."""
    sign = {"higher": 1, "lower": -1}.get(metric.better)
    if sign is None:
        return NOTHING
    return f"{sum(sign * value > 0 for value in cell.people.values())} of {len(cell.people)}"
