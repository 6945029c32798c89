"""Which trainings a suite needs: every row and seed resolved to settings of `train.py`, and equal ones done once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import yaml

from benchmarks.suites.args import Cell, Comparison, Settings
from train import make_parser

Place = tuple[str, str, int]
"""Names of a comparison and of a cell, and the seed."""


@dataclass(frozen=True)
class Job:
    """One training that a suite needs, whatever rows it serves."""

    key: str
    """Names its folder: a hash of all that follows."""
    settings: str
    """Every option of `train.py` with its value, as YAML."""
    alone: bool
    """Whether each client trains by itself."""
    start: Job | None
    """Whose global adapter the shared adapter starts from."""


@dataclass(frozen=True)
class Plan:
    """All jobs of a suite by where they are needed, the most important first."""

    places: Mapping[Place, Job]

    @property
    def jobs(self) -> list[Job]:
        """Return each job once, in the order in which they shall run; none comes before the one it starts from."""
        wanted = (job for place in self.places.values() for job in (place.start, place) if job is not None)
        return list(dict.fromkeys(wanted))


def make_plan(comparisons: Mapping[str, Comparison], settings: Settings, seeds: Iterable[int]) -> Plan:
    """Return the jobs of all comparisons, in their order: with one seed all of them before the next seed begins.

    Args:
        comparisons: By name, the most important first.
        settings: What all cells share.
        seeds: Each cell is trained with each of them.

    Raises:
        ArgumentError: If a setting is no option of `train.py` or has no possible value.
    """
    resolve = _make_resolver()
    cells = [(name, row) for name, comparison in comparisons.items() for row in comparison.cells]
    resolved = {
        (name, row): resolve(merge(settings, comparisons[name].settings, comparisons[name].cells[row].settings))
        for name, row in cells
    }
    places: dict[Place, Job] = {}
    for seed in seeds:
        for name, row in cells:
            cell = comparisons[name].cells[row]
            origin = cell.starts_from
            start = _make_job(resolved[name, origin], comparisons[name].cells[origin], seed) if origin else None
            places[name, row, seed] = _make_job(resolved[name, row], cell, seed, start)
    return Plan(places)


def merge(settings: Settings, *others: Settings) -> Settings:
    """Return settings with others laid over them, level by level; neither is changed."""
    merged = dict(settings)
    for other in others:
        for name, value in other.items():
            both = isinstance(value, dict) and isinstance(merged.get(name), dict)
            merged[name] = merge(merged[name], value) if both else value
    return merged


def _make_job(resolved: Settings, cell: Cell, seed: int, start: Job | None = None) -> Job:
    text = yaml.safe_dump(resolved | {"seed": seed}, sort_keys=False)
    content = json.dumps([text, cell.alone, start.key if start else None])
    return Job(hashlib.sha256(content.encode()).hexdigest()[:16], text, cell.alone, start)


def _make_resolver() -> Callable[[Settings], Settings]:
    parser = make_parser([])
    return lambda settings: yaml.safe_load(parser.dump(parser.parse_object(settings), skip_validation=True))
