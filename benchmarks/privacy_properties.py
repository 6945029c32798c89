"""Properties that many cases must have: their tests, run in full, and how many cases there were."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from benchmarks.report import Bar

ROOT = Path(__file__).parents[1]
TESTS = Path("tests") / "federation"
FULL = {"PRIVFEDTALK_FUZZ": "full"}
MOST_SECONDS = 7200
"""After which a test is given up."""


@dataclass(frozen=True)
class Property:
    """A property, and the tests that hold it."""

    name: str
    tests: Path
    """A test file, all of whose tests must pass: those on injected faults, too."""
    counted: tuple[str, ...]
    """The test functions that run the cases."""
    cases_each: int
    """Cases that each parameter of such a function runs in full, in the mean."""
    least: int
    """Cases that there must be."""

    def not_measured(self, why: str) -> Bar:
        """Return the bar of the cases without a figure."""
        return Bar.not_measured(f"{self.name}: cases passed", f">= {self.least}", why)


SECURE, PRIVACY = TESTS / "secure_aggregation", TESTS / "privacy"
PROPERTIES = (
    Property(
        "unmasked sum is exact, one dropout more is refused",
        SECURE / "test_exactness.py",
        ("test_the_sum_is_exact_and_one_dropout_too_many_is_refused",),
        cases_each=10,
        least=10_000,
    ),
    Property(
        "what is bent ends the round, no secret is told",
        SECURE / "test_tampering.py",
        ("test_what_is_bent_ends_the_round",),
        cases_each=1,
        least=60,
    ),
    Property(
        "no update leaves the integer norm bound",
        PRIVACY / "test_norm_bound.py",
        ("test_no_update_leaves_the_bound",),
        cases_each=62_500,
        least=1_000_000,
    ),
    Property(
        "one-run audit over 20 seeds, true system and faults",
        PRIVACY / "audit" / "test_one_run.py",
        (
            "test_at_most_three_of_twenty_bounds_exceed_the_claim_of_the_true_system",
            "test_at_least_nineteen_of_twenty_bounds_exceed_the_claim_of_a_fault",
        ),
        cases_each=20,
        least=80,
    ),
    Property(
        "gradient inversion: bare it succeeds, through the pipeline it fails",
        PRIVACY / "audit" / "test_inversion.py",
        ("test_a_bare_update_shows_its_example", "test_through_the_pipeline_it_does_not"),
        cases_each=6,
        least=24,
    ),
)


@dataclass(frozen=True)
class PropertyOutcome:
    """What running a property's tests showed."""

    name: str
    cases: int
    """In tests that passed."""
    passed: int
    failed: int
    skipped: int
    seconds: float
    """Wall time on two processes."""


def measure_properties(properties: Sequence[Property] = PROPERTIES) -> tuple[list[PropertyOutcome], list[Bar]]:
    """Run every property's tests; one whose file is missing is not measured."""
    found = [run_tests(wanted) if (ROOT / wanted.tests).exists() else None for wanted in properties]
    bars = []
    for wanted, tested in zip(properties, found, strict=True):
        if tested is None:
            bars.append(wanted.not_measured(f"there is no {wanted.tests.as_posix()}"))
        else:
            bars.append(Bar.at_least(f"{wanted.name}: cases passed", tested.cases, wanted.least))
            bars.append(Bar.at_most(f"{wanted.name}: tests failed or skipped", tested.failed + tested.skipped, 0))
    return [tested for tested in found if tested is not None], bars


def skip_properties(why: str) -> tuple[list[PropertyOutcome], list[Bar]]:
    """Return what `measure_properties` does, as not measured."""
    return [], [wanted.not_measured(why) for wanted in PROPERTIES]


def run_tests(wanted: Property) -> PropertyOutcome:
    """Run a property's tests in full, in processes of their own.

    Raises:
        RuntimeError: If pytest could not run them.
    """
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "--rootdir", ".", str(wanted.tests)]
        command += [f"--junitxml={report}", f"--timeout={MOST_SECONDS}", "-p", "no:cacheprovider"]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | FULL, capture_output=True, text=True)
        if not report.exists():
            raise RuntimeError(f"The tests in {wanted.tests} did not run: {(done.stdout + done.stderr)[-500:]}")
        tests = [(test.get("name", ""), outcome_of(test)) for test in ElementTree.parse(report).iter("testcase")]
    outcomes = [outcome for _, outcome in tests]
    counted = [outcome for name, outcome in tests if name.partition("[")[0] in wanted.counted]
    return PropertyOutcome(
        wanted.name,
        counted.count("passed") * wanted.cases_each,
        *(outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")),
        seconds=time.monotonic() - began,
    )


def outcome_of(test: ElementTree.Element) -> str:
    """Return `passed`, `failed` (an error, too) or `skipped`."""
    if test.find("failure") is not None or test.find("error") is not None:
        return "failed"
    return "passed" if test.find("skipped") is None else "skipped"
