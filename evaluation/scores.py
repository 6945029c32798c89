"""One score per system, clip and metric, and the csv table of all of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from whole_files import whole_file

EVERYBODY = "everybody"
"""Stands for the person where a metric compares sets of frames, not single clips."""


@dataclass(frozen=True)
class Score:
    """What one metric says of one system's frames of one clip."""

    system: str
    """What made the frames."""
    person: str
    clip: str
    """The clip's name; empty where the score is of all clips together."""
    metric: str
    value: float
    """NaN where the metric does not apply."""


def save_scores(path: str | Path, scores: Iterable[Score]) -> None:
    """Write one row per score."""
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Score)])
        writer.writerows(astuple(score) for score in scores)


def read_scores(path: str | Path) -> list[Score]:
    """Return what `save_scores` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another table.
    """
    with Path(path).open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != [field.name for field in fields(Score)]:
            raise ValueError(f"A table of scores must have columns system, person, clip, metric, value. Got {path}.")
        return [Score(row["system"], row["person"], row["clip"], row["metric"], float(row["value"])) for row in reader]


def systems_of(scores: Iterable[Score]) -> list[str]:
    """Return the names of all systems, in the order of their first scores."""
    return list(dict.fromkeys(score.system for score in scores))
