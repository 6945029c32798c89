"""Leaves the figures of a benchmark as JSON, and says them as Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output

import torch

from evaluation.reporting.markdown import markdown_table
from whole_files import save_text

__all__ = ["RESULTS", "Bar", "bars_table", "describe_machine", "markdown_table", "save_results"]

RESULTS = Path("benchmarks/results")


@dataclass(frozen=True)
class Bar:
    """What must be shown, and whether it is."""

    name: str
    value: float | None
    """None where it could not be measured."""
    bar: str
    met: bool

    @classmethod
    def at_least(cls, name: str, value: float, least: float) -> Bar:
        """Ask for a value that is not below another; NaN is below everything."""
        return cls(name, value, f">= {least:.3g}", value >= least)

    @classmethod
    def at_most(cls, name: str, value: float, most: float) -> Bar:
        """Ask for a value that is not above another; NaN is above everything."""
        return cls(name, value, f"<= {most:.3g}", value <= most)

    @classmethod
    def not_measured(cls, name: str, bar: str, why: str) -> Bar:
        """Say what keeps a bar from being measured; it is not met."""
        return cls(f"{name} ({why})", None, bar, False)

    @property
    def verdict(self) -> str:
        """Return what a table says of it."""
        if self.value is None:
            return "not measured"
        return "met" if self.met else "MISSED"


def bars_table(bars: Sequence[Bar]) -> str:
    """Return the bars as a Markdown table."""
    rows = [[bar.name, "" if bar.value is None else bar.value, bar.bar, bar.verdict] for bar in bars]
    return markdown_table(["bar", "value", "asked", ""], rows)


def save_results(path: str | Path, figures: dict[str, object]) -> None:
    """Write the figures and the machine they were taken on, by one rename."""
    save_text(Path(path), json.dumps(figures | {"machine": describe_machine()}, indent=1, default=_plain) + "\n")


def find_commit() -> str | None:
    """Return the commit of this checkout, with `+` where files differ from it; None where git knows of none."""
    try:
        asked = [["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
        commit, changes = (check_output(question, cwd=RESULTS, text=True, stderr=DEVNULL) for question in asked)
    except (OSError, CalledProcessError):
        return None
    return commit.strip() + "+" * bool(changes.strip())


def describe_machine() -> dict[str, object]:
    """Return what figures of time depend on."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "code": find_commit(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")
