"""Rows become jobs: equal ones once, in the order in which a partial report is worth most."""

from __future__ import annotations

from argparse import ArgumentError
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from benchmarks.suite import ONE_DEVICE
from benchmarks.suites.args import Cell, Comparison
from benchmarks.suites.plan import make_plan, merge
from train import DEFAULTS

SUITES = sorted((Path(__file__).parents[2] / "configs" / "suites").glob("*.yaml"))
TINY = {
    "module": {"class_path": "tests.tiny_command.CommandModule"},
    "data": {"class_path": "tests.tiny_command.CommandData", "init_args": {"people": 3}},
}
PROX = {"federation": {"aggregation": "fedprox"}}


def test_settings_are_laid_over_each_other_level_by_level():
    below = {"a": {"b": 1, "c": [1]}, "d": 2}
    assert merge(below, {"a": {"c": [2]}}, {"d": {"e": 3}}) == {"a": {"b": 1, "c": [2]}, "d": {"e": 3}}
    assert below == {"a": {"b": 1, "c": [1]}, "d": 2}


@pytest.mark.slow
def test_equal_rows_are_one_job_and_seeds_are_not():
    comparisons = {
        "first": Comparison("?", "a", {"a": Cell(), "b": Cell(PROX)}),
        "second": Comparison("?", "c", {"c": Cell(), "d": Cell()}, settings=PROX),
        "third": Comparison("?", "e", {"e": Cell({"federation": {"aggregation": "isfa"}})}),  # what is the default
    }
    plan = make_plan(comparisons, TINY, seeds=(0, 1))
    assert len(plan.jobs) == 4
    places = plan.places
    assert places["first", "b", 0] == places["second", "c", 0] == places["second", "d", 0] != places["second", "c", 1]
    assert places["third", "e", 1] == places["first", "a", 1]


@pytest.mark.slow
def test_every_comparison_has_a_seed_before_any_has_the_next():
    comparisons = {
        "first": Comparison("?", "a", {"a": Cell(), "b": Cell(PROX)}),
        "second": Comparison("?", "a", {"a": Cell(alone=True)}),
    }
    plan = make_plan(comparisons, TINY, seeds=(0, 1))
    order = [("first", "a", 0), ("first", "b", 0), ("second", "a", 0), ("first", "a", 1)]
    assert plan.jobs[:4] == [plan.places[place] for place in order]


@pytest.mark.slow
def test_a_job_comes_after_the_one_it_starts_from_and_is_another_than_without():
    cells = {"late": Cell(starts_from="early"), "early": Cell(PROX), "plain": Cell()}
    plan = make_plan({"c": Comparison("?", "late", cells)}, TINY, seeds=(3,))
    late, early, plain = (plan.places["c", name, 3] for name in cells)
    assert plan.jobs == [early, late, plain]
    assert late.start == early
    assert late.settings == plain.settings


@pytest.mark.slow
def test_a_job_names_every_option():
    plan = make_plan({"c": Comparison("?", "a", {"a": Cell(PROX)})}, TINY, seeds=(7,))
    settings = yaml.safe_load(plan.jobs[0].settings)
    assert settings["seed"] == 7
    assert settings["federation"]["aggregation"] == "fedprox"
    assert settings["aggregation"]["proximal_mu"] == 0.01


@pytest.mark.parametrize("wrong", [{"federation": {"aggregation": "fedsgd"}}, {"federatoin": {"rounds": 1}}])
def test_a_wrong_setting_is_noticed_before_anything_is_trained(wrong):
    with pytest.raises((ArgumentError, ValueError), match=r"fedsgd|federatoin"):
        make_plan({"c": Comparison("?", "a", {"a": Cell(wrong)})}, TINY, seeds=(0,))


@pytest.mark.slow
@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_suite_that_ships_can_be_planned(path):
    config = yaml.safe_load(path.read_text())
    parser = ArgumentParser()
    parser.add_argument("--comparisons", type=dict[str, Comparison])
    comparisons = parser.instantiate(parser.parse_object({"comparisons": config["comparisons"]})).comparisons
    train = yaml.safe_load((path.parents[2] / config["train"]).read_text())
    plan = make_plan(comparisons, merge(DEFAULTS, train, config["settings"], ONE_DEVICE), config["seeds"])
    rows = sum(len(comparison.cells) for comparison in comparisons.values())
    assert len(plan.places) == rows * len(config["seeds"])
    assert len(plan.jobs) < len(plan.places)
    pooled = yaml.safe_load(plan.places["methods", "centralised", 0].settings)["data"]
    assert pooled["class_path"] == "datamodules.pooled.PooledClients"
    assert pooled["init_args"]["crop"] == "none"
    first = path.read_text().splitlines()[0]
    assert f"python benchmarks/suite.py --config configs/suites/{path.name}" in first
