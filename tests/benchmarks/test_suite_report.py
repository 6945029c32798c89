"""The report pairs people and seeds, tells what is missing, and finds an effect that is there and none that is not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.suites.args import Cell, Comparison
from benchmarks.suites.jobs import TOGETHER
from benchmarks.suites.plan import Job
from benchmarks.suites.report import describe, write_report
from benchmarks.suites.results import Results
from benchmarks.suites.scores import HELD_OUT_LOSS
from evaluation.scores import Score, read_scores, save_scores
from evaluation.statistics import Estimate
from evaluation.systems import OWN, SHARED

PEOPLE = tuple("abcdefgh")
SEEDS = (0, 1, 2)


def finish(root: Path, job: Job, losses: dict[str, float], epsilon: float | None = None) -> None:
    """Leave what a finished job leaves."""
    scores = [Score(given, name, "", HELD_OUT_LOSS, loss) for given in (SHARED, OWN) for name, loss in losses.items()]
    save_scores(root / job.key / "scores.csv", scores)
    run = root / job.key / "runs" / TOGETHER
    run.mkdir(parents=True)
    rows = [f"{number},released/seconds,2.0" for number in (1, 2)]
    rows += [] if epsilon is None else [f"1,released/epsilon,{epsilon / 2}", f"2,released/epsilon,{epsilon}"]
    (run / "metrics.csv").write_text("\n".join(["round,tag,value", *rows]) + "\n")


@pytest.fixture
def results(tmp_path) -> Results:
    """Three rows: one lower by 0.1 for everyone, one that is the same but for chance, one that was not run."""
    cells = {"plain": Cell(), "better": Cell(note="Always."), "same": Cell(against="plain"), "absent": Cell()}
    comparison = Comparison("Is it?", "plain", cells, leave_out=["h"], curve="released/epsilon")
    jobs = {(cell, seed): Job(f"{cell}{seed}", "", False, None) for cell in cells for seed in SEEDS}
    chance = random.Random(0)
    for number, cell in enumerate(("plain", "better", "same")):
        for seed in SEEDS[: 2 if cell == "same" else 3]:
            losses = {person: at + 0.3 * seed for at, person in enumerate(PEOPLE)}
            for person in losses:
                losses[person] += -0.1 if cell == "better" else 0.01 * chance.gauss(0, 1) if cell == "same" else 0.0
            losses["h"] = 1000.0 * number
            finish(tmp_path / "jobs", jobs[cell, seed], losses, None if cell == "plain" else 10.0**number)
    return Results(comparison, jobs, tmp_path / "jobs")


def test_differences_are_paired_over_people_and_seeds(results):
    means, differences = results.means(OWN), results.differences(OWN)
    better, same = (differences[cell, HELD_OUT_LOSS] for cell in ("better", "same"))
    assert better.mean == pytest.approx(-0.1)
    assert better.high < 0
    assert better.excludes_zero
    assert not same.excludes_zero
    assert list(better.people) == list("abcdefg")  # h is left out, who would have turned it round
    assert means["plain", HELD_OUT_LOSS].high - means["plain", HELD_OUT_LOSS].low > 1  # people do differ
    assert ("plain", HELD_OUT_LOSS) not in differences


def test_figures_of_runs_are_summed_or_the_last(results):
    assert results.figure("better", "released/seconds") == 4.0
    assert results.figure("better", "released/epsilon") == 10.0
    assert results.figure("plain", "released/epsilon") is None
    assert results.figure("absent", "released/seconds") is None


def test_noise_that_hides_the_signal_is_told_as_a_bound(results):
    """The figure never exceeds (D/8)^(1/4): there it says how little can be seen, not how much there is."""
    coordinates = 34_401
    most = (coordinates / 8) ** 0.25
    for cell, noises in (("plain", (most, most, most)), ("better", (5.0, most, 5.0)), ("same", (5.0, 5.1, 5.2))):
        for seed, noise in zip(SEEDS, noises, strict=True):
            run = results.root / results.jobs[cell, seed].key / "runs" / TOGETHER
            run.mkdir(parents=True, exist_ok=True)
            rows = [f"1,released/noise_to_signal,{noise}", f"1,released/upload_bytes,{4 * coordinates}"]
            (run / "metrics.csv").write_text("\n".join(["round,tag,value", *rows]) + "\n")
    shown = {cell: results.describe_figure(cell, "released/noise_to_signal") for cell in results.comparison.cells}
    assert shown == {"plain": ">= 8.1", "better": ">= 6", "same": "5.05", "absent": ""}
    assert results.describe_figure("plain", "released/upload_bytes") == "1.376e+05"


def test_the_report_says_what_was_run_what_was_not_and_what_failed(results, tmp_path):
    text = write_report(tmp_path, {"first": results}, SEEDS, {"absent2": "ValueError: no."})
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert "not run; failed: ValueError: no." in text
    assert "| same | seeds 0, 1 |" in text
    assert "- better: Always." in text
    assert rows["better"][-2:] == ["*", "plain |"]
    assert rows["same"][-2:] == ["", "plain |"]
    assert rows["absent"][1:3] == ["not run", "not run"]
    assert (tmp_path / "report.md").read_text() == text
    assert len(read_scores(tmp_path / "scores.csv")) == 2 * 7 * 8
    for name in ("first_own_adapter.png", "first_own_adapter_curve.png"):
        assert f"({name})" in text
        assert len(Image.open(tmp_path / name).getcolors(256)) > 2


def test_a_report_of_nothing_says_so(results, tmp_path):
    nothing = Results(results.comparison, results.jobs, tmp_path / "empty")
    text = write_report(tmp_path, {"first": nothing}, SEEDS, {})
    assert text.count("not run") == 4
    assert "png" not in text


def test_three_people_are_listed_without_an_interval():
    assert describe(Estimate(1.5, None, None, people={"ann": 1.0, "bob": 2.0})) == "1.5 (ann 1, bob 2)"
    assert describe(Estimate(1.5, 1.0, 2.0)) == "1.5 [1, 2]"
    assert describe(Estimate(1.5, 1.0, 2.0, -0.1, 3.1)) == "1.5 [1, 2] t [-0.1, 3.1]"
    assert describe(None) == "not run"


def test_a_row_can_be_held_against_another_than_the_rest(results):
    cells = {**results.comparison.cells, "same": Cell(against="better")}
    moved = Results(Comparison("Is it?", "plain", cells), results.jobs, results.root)
    assert moved.differences(OWN)["same", HELD_OUT_LOSS].mean > 50  # to better, with h, whose losses are huge
