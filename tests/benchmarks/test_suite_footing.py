"""Rows on different footings are never mixed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.suites.args import GenerationArgs
from benchmarks.suites.footing import demand_same_footing, describe_footing
from benchmarks.suites.jobs import Bench
from benchmarks.suites.plan import Job, Plan

BENCH = Bench(Path("jobs"), ("ann", "bob"), {"root": "people"}, 1, GenerationArgs(), frozenset(), None)


def plan_on(base: Path) -> Plan:
    settings = yaml.safe_dump({"module": {"init_args": {"base": str(base)}}})
    return Plan({("c", "a", 0): Job("a", settings, False, None)})


def test_a_footing_names_people_scoring_and_the_weights_of_the_base(tiny_base, tmp_path):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    footing = describe_footing(plan_on(base), BENCH)
    others = [
        replace(BENCH, people=("ann",)),
        replace(BENCH, batches=2),
        replace(BENCH, generation=GenerationArgs(steps=4)),
    ]
    assert footing not in [describe_footing(plan_on(base), bench) for bench in others]
    assert footing == describe_footing(plan_on(base), replace(BENCH, threads=2, generated=frozenset({"a"})))
    weights = next(base.glob("*/*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b" ")
    assert footing != describe_footing(plan_on(base), BENCH)


def test_a_suite_stays_on_one_footing(tmp_path):
    demand_same_footing(tmp_path / "out" / "footing.yaml", "batches: 1")
    demand_same_footing(tmp_path / "out" / "footing.yaml", "batches: 1")
    with pytest.raises(ValueError, match=r"another `--out`"):
        demand_same_footing(tmp_path / "out" / "footing.yaml", "batches: 2")
