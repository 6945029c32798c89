"""What all jobs of a suite have in common, so that rows trained on different days may be held against each other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import yaml

from benchmarks.suites.jobs import Bench
from benchmarks.suites.plan import Plan
from lightning_modules.model_folder import fingerprint
from whole_files import save_text


def describe_common_settings(plan: Plan, bench: Bench) -> str:
    """Return, as YAML, what all jobs of a suite must have in common and no job is named by."""
    bases = sorted({yaml.safe_load(job.settings)["module"]["init_args"]["base"] for job in plan.jobs})
    common = {
        "bases": {base: fingerprint(base) for base in bases},
        "people": list(bench.people),
        "data": bench.clean,
        "batches": bench.batches,
        "generation": asdict(bench.generation),
    }
    return yaml.safe_dump(common, sort_keys=False)


def demand_same_settings(path: Path, common: str) -> None:
    """Write down what all jobs have in common, or hold it against what the earlier ones had.

    Raises:
        ValueError: If it is another base model, other people, or another way to score.
    """
    if not path.exists():
        save_text(path, common)
    if path.read_text() != common:
        raise ValueError(
            f"The base model, people and scoring of a suite must stay the same. Got others than {path} tells. Choose "
            "another `--out`, or remove this one."
        )
