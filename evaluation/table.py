"""Scores brought together: a mean with its interval per system and metric, and paired differences to one system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.scores import EVERYBODY, Score, systems_of
from evaluation.statistics import Estimate, estimate, paired_difference

Cells = dict[tuple[str, str], Estimate]
"""By system and metric."""


@dataclass(frozen=True)
class Table:
    """What all scores say together."""

    systems: list[str]
    metrics: list[str]
    means: Cells
    differences: Cells
    """Of each system to `reference_system`, over the clips that both have a score of; empty without one."""
    reference_system: str | None = None

    def mean(self, system: str, metric: str) -> Estimate | None:
        """Return a mean, None where there is no score at all."""
        return self.means.get((system, metric))


def summarise(scores: Sequence[Score], reference_system: str | None = None) -> Table:
    """Return the mean of every system and metric, and how much each system differs from one of them.

    Raises:
        ValueError: If there are no scores of the system to compare with.
    """
    systems = systems_of(scores)
    metrics = list(dict.fromkeys(score.metric for score in scores))
    if reference_system is not None and reference_system not in systems:
        raise ValueError(f"The system to compare with must be one of {', '.join(systems)}. Got {reference_system!r}.")
    rows: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for score in scores:
        rows.setdefault((score.system, score.metric), {})[score.person, score.clip] = score.value
    means = {cell: estimate(list(row.values()), [person for person, _ in row]) for cell, row in rows.items()}
    differences = {
        (system, metric): _difference(row, rows[reference_system, metric])
        for (system, metric), row in rows.items()
        if reference_system not in (None, system) and (reference_system, metric) in rows
    }
    return Table(systems, metrics, means, differences, reference_system)


def _difference(row: dict[tuple[str, str], float], other: dict[tuple[str, str], float]) -> Estimate:
    shared = [key for key in row if key in other and key[0] != EVERYBODY]
    return paired_difference([row[key] for key in shared], [other[key] for key in shared], [key[0] for key in shared])
