"""`python evaluate.py --run RUN`, whole, on a tiny model that never trained."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commandline import run_command
from evaluate import ALIASES, evaluate
from evaluation.evaluate_run import choose_shown, evaluate_run
from evaluation.finished_run import open_finished
from evaluation.protocols import Judges
from evaluation.scores import read_scores
from lightning_modules.sampling import SamplingOptions
from tests.evaluation.finished import make_finished
from tests.evaluation.judged import tiny_judges

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return a function that runs the command in an empty folder, with no judges, and returns its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["evaluate.py"])
    (tmp_path / "judges").mkdir()
    usual = ["--judges", "judges", "--frames", "9", "--steps", "1", "--clips", "1"]
    return lambda *flags: run_command(evaluate, ALIASES, [*flags, *usual])


@pytest.mark.slow
def test_an_evaluation_leaves_report_scores_figures_videos_and_events(run, tmp_path):
    report = evaluate_run(open_finished(run), tiny_judges(), tmp_path, SamplingOptions(steps=1), frames=17)
    text, scores = report.read_text(), read_scores(tmp_path / "metrics.csv")
    for system in ("noise", "static copy", "through the VAE", "clean render", "base, pose given"):
        assert f"| {system} |" in text
    assert "2 people are too few for an interval" in text
    assert {score.person for score in scores} == {"p2000", "p2001", "everybody"}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"sheet.png", "intervals.png", "tracks.png"}
    videos = {str(path.relative_to(tmp_path / "videos")) for path in tmp_path.glob("videos/*/*")}
    assert videos == {"p2000/clip_01.mp4", "p2001/clip_01.mp4"}
    board = EventAccumulator(str(tmp_path)).Reload()
    assert "evaluation PSNR/static copy" in board.Tags()["scalars"]
    assert "evaluation/intervals" in board.Tags()["images"]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_a_second_evaluation_takes_the_place_of_the_first(run, tmp_path):
    for seed in (0, 1):
        evaluate_run(open_finished(run), Judges(), tmp_path, SamplingOptions(1, seed), clients=["p2001"], frames=9)
    assert len(list(tmp_path.glob("events.*"))) == 1
    assert {score.person for score in read_scores(tmp_path / "metrics.csv")} == {"p2001"}


def test_what_is_shown_begins_with_the_recorded_clip():
    names = ["noise", "recorded", "base, pose given", "base, sound alone", "own adapter, sound alone"]
    assert choose_shown(names) == ["recorded", "base, pose given", "own adapter, sound alone"]
    assert choose_shown(["base, sound alone", "recorded"]) == ["recorded", "base, sound alone"]


@pytest.mark.slow
def test_the_command_says_what_it_needs_in_one_line(run, command, capsys):
    assert command("--run", "nowhere") == 2
    assert capsys.readouterr().err.splitlines() == [
        "evaluate.py: `--run` must be the folder of a run. Got nowhere, which holds no config.yaml."
    ]
    assert command("--run", str(run), "--clients", "") == 2
    assert "must be one of p2000, p2001. Got ''" in capsys.readouterr().err
    assert command("--run", str(run), "--clients", "zoe") == 2
    assert "zoe" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["", "local"])
def test_the_command_leaves_what_the_run_wrote(tmp_path, command, capsys, out):
    folder = tmp_path / "run" / out
    folder.mkdir(parents=True)
    for name in ("metrics.csv", "events.out.tfevents.1"):
        (folder / name).write_text("the run's")
    assert command("--run", "run", "--out", str(folder)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`--out` must be" in line
    assert {path.name: path.read_text() for path in folder.glob("*.*")} == {
        "metrics.csv": "the run's",
        "events.out.tfevents.1": "the run's",
    }


@pytest.mark.slow
def test_the_script_ends_with_the_exit_code_of_the_command(tmp_path):
    script = [sys.executable, str(ROOT / "evaluate.py"), "--run", "nowhere", "--frames", "0"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("evaluate.py: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_command_reads_people_elsewhere_and_keeps_private_people_local(run, tmp_path, command):
    shutil.copytree(run.parent / "people" / "p2001", tmp_path / "people" / "p2001")
    assert command("--run", str(run), "--data.root", str(tmp_path / "people")) == 0
    report = (run / "local" / "evaluation" / "report.md").read_text()
    assert "| people | 1: p2001 |" in report
    assert "weights missing" in report
    assert not (run / "released").exists()
