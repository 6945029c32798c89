"""Properties are counted in tests that passed, run in full; a test that fails, is skipped or missing meets no bar."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks import privacy_properties
from benchmarks.privacy_properties import PROPERTIES, ROOT, Property, PropertyOutcome, measure_properties, run_tests
from benchmarks.report import Bar, bars_table

TESTS = """
import os
import pytest

@pytest.mark.parametrize("number", range(3))
def test_cases(number):
    assert os.environ["PRIVFEDTALK_FUZZ"] == "full"

def test_cases_of_another_kind():
    pass

def test_a_fault_is_seen():
    assert False

@pytest.mark.skip(reason="not here")
def test_elsewhere():
    pass
"""


def make_property(folder: Path) -> Property:
    path = folder / "test_something.py"
    path.write_text(TESTS)
    return Property("something", path, ("test_cases",), cases_each=10, least=30)


@pytest.mark.slow
def test_cases_are_counted_in_tests_that_passed_in_full(tmp_path):
    tested = run_tests(make_property(tmp_path))
    assert (tested.cases, tested.passed, tested.failed, tested.skipped) == (30, 4, 1, 1)
    assert tested.seconds > 0


@pytest.mark.parametrize(
    ("cases", "failed", "skipped", "met"),
    [(30, 0, 0, [True, True]), (29, 0, 0, [False, True]), (30, 1, 0, [True, False]), (30, 0, 1, [True, False])],
)
def test_too_few_failing_or_skipped_tests_meet_no_bar(cases, failed, skipped, met, tmp_path, monkeypatch):
    tested = PropertyOutcome("something", cases, 4, failed, skipped, 1.0)
    monkeypatch.setattr(privacy_properties, "run_tests", lambda wanted: tested)
    figures, bars = measure_properties([make_property(tmp_path)])
    assert figures == [tested]
    assert [bar.met for bar in bars] == met


def test_a_missing_file_is_not_measured(tmp_path):
    tested, bars = measure_properties([Property("something", tmp_path / "test_none.py", ("test_cases",), 1, 1)])
    assert tested == []
    assert [(bar.verdict, bar.met) for bar in bars] == [("not measured", False)]
    assert "| not measured |" in bars_table(bars)


def test_tests_that_cannot_run_raise(tmp_path, monkeypatch):
    monkeypatch.setattr(privacy_properties.sys, "executable", "false")
    with pytest.raises(RuntimeError, match="did not run"):
        run_tests(make_property(tmp_path))


@pytest.mark.parametrize("wanted", PROPERTIES, ids=lambda wanted: wanted.tests.stem)
def test_every_counted_test_exists(wanted):
    tree = ast.parse((ROOT / wanted.tests).read_text())
    assert set(wanted.counted) <= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_is_not_measured_is_not_met_and_says_why():
    bar = Bar.not_measured("speed", ">= 5", "no rival")
    assert (bar.name, bar.value, bar.met) == ("speed (no rival)", None, False)
    assert [Bar.at_least("x", value, 1.0).verdict for value in (2.0, 0.0, float("nan"))] == ["met", "MISSED", "MISSED"]
