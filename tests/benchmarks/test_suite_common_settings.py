"""Rows that were scored differently are never mixed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.suites.args import GenerationArgs
from benchmarks.suites.common_settings import demand_same_settings, describe_common_settings
from benchmarks.suites.jobs import Bench
from benchmarks.suites.plan import Job, Plan

BENCH = Bench(Path("jobs"), ("ann", "bob"), {"root": "people"}, 1, GenerationArgs(), frozenset(), None)


def plan_on(base: Path) -> Plan:
    settings = yaml.safe_dump({"module": {"init_args": {"base": str(base)}}})
    return Plan({("c", "a", 0): Job("a", settings, False, None)})


def test_common_settings_name_people_scoring_and_the_weights_of_the_base(tiny_base, tmp_path):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    common = describe_common_settings(plan_on(base), BENCH)
    others = [
        replace(BENCH, people=("ann",)),
        replace(BENCH, batches=2),
        replace(BENCH, generation=GenerationArgs(steps=4)),
    ]
    assert common not in [describe_common_settings(plan_on(base), bench) for bench in others]
    assert common == describe_common_settings(plan_on(base), replace(BENCH, threads=2, generated=frozenset({"a"})))
    weights = next(base.glob("*/*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b" ")
    assert common != describe_common_settings(plan_on(base), BENCH)


def test_a_suite_keeps_its_common_settings(tmp_path):
    demand_same_settings(tmp_path / "out" / "footing.yaml", "batches: 1")
    demand_same_settings(tmp_path / "out" / "footing.yaml", "batches: 1")
    with pytest.raises(ValueError, match=r"another `--out`"):
        demand_same_settings(tmp_path / "out" / "footing.yaml", "batches: 2")
