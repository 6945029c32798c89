"""The cut-down suite, from its config to its report: every kind of row trains, is scored, and is done once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.suite import choose, run_suite
from benchmarks.suites.args import Cell, Comparison
from benchmarks.suites.plan import merge
from commandline import run_command
from datamodules.demo.people import make_demo_people
from datamodules.demo.seeds import PRIVATE_SEEDS
from evaluation.scores import read_scores

ROOT = Path(__file__).parents[2]
PEOPLE = ("bela", "chen", "emil")


@pytest.fixture(scope="module")
def config(tmp_path_factory, tiny_base) -> Path:
    """Return the tiny suite with a tiny model, one seed, and three people of three short clips."""
    folder = tmp_path_factory.mktemp("suite")
    seeds = [PRIVATE_SEEDS[number] for number in (1, 2, 4)]
    make_demo_people(folder / "people", seeds, clips_per_person=3, size=64)
    suite = yaml.safe_load((ROOT / "configs" / "suites" / "tiny.yaml").read_text())
    data = {"root": str(folder / "people"), "cache_dir": str(folder / "cache")}
    settings = {"module": {"init_args": {"base": str(tiny_base)}}, "data": {"init_args": data}, "accelerator": "cpu"}
    mine = {"train": str(ROOT / suite["train"]), "out": str(folder / "out"), "seeds": [0], "processes": 1}
    suite = merge(suite, mine, {"settings": settings, "generation": {"judges": None}})
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    return folder / "suite.yaml"


@pytest.fixture
def no_search(monkeypatch) -> None:
    """Spare the search for the size of a federation in which the noise would do."""
    monkeypatch.setattr("federation.privacy.summary.smallest_population", lambda *args: 9)


def read_report(config: Path) -> str:
    return (config.parent / "out" / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("no_search")
def test_the_suite_runs_is_resumed_and_does_nothing_twice(config, capsys):
    assert run_command(run_suite, argv=["--config", str(config), "--budget", "1e-9"]) == 0
    assert read_report(config).count("not run") > 10
    assert len(jobs(config)) == 1
    cut_short(jobs(config)[0])
    assert run_command(run_suite, argv=["--config", str(config)]) == 0
    assert "not run" not in read_report(config)
    check_scores(read_scores(config.parent / "out" / "scores.csv"))
    before = {path: path.stat().st_mtime_ns for path in jobs(config)}
    capsys.readouterr()
    assert run_command(run_suite, argv=["--config", str(config)]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in jobs(config)}


def jobs(config: Path) -> list[Path]:
    return sorted((config.parent / "out" / "jobs").iterdir())


def cut_short(job: Path) -> None:
    """Leave a finished job as if it had been interrupted before it was scored."""
    (job / "scores.csv").unlink()
    job.rename(job.with_name(f"{job.name}.partial"))


def check_scores(scores) -> None:
    """Hold that rows differ where they must, and are the base's where nothing was trained."""
    losses = {(score.system, score.person): score.value for score in scores if score.metric == "held-out loss"}
    assert {person for _, person in losses} == set(PEOPLE)

    def loss(row: str, given: str = "own adapter") -> dict[str, float]:
        return {person: losses[f"{row}, seed 0, {given}", person] for person in PEOPLE}

    base = loss("methods: base only")
    assert base == loss("methods: base only", "global adapter")
    rows = ["FedAvg", "centralised", "local only"]
    assert all(loss(f"methods: {row}")[person] != base[person] for row in rows for person in PEOPLE)
    assert loss("methods: FedAvg") == loss("privacy: no noise") == loss("LoRA averaging: FFA")
    assert loss("LoRA averaging: naive") != loss("LoRA averaging: FFA")
    assert not any(score.system.startswith("methods: local only, seed 0, global") for score in scores)
    assert ("robustness: FedAvg, all well, seed 0, own adapter", "bela") not in losses
    assert {score.metric for score in scores if score.system.startswith("personalisation")} > {"PSNR", "mouth PSNR"}


def test_comparisons_are_chosen_by_name():
    everything = {name: Comparison("?", "a", {"a": Cell()}) for name in ("one", "two")}
    assert list(choose(everything, ["two"])) == ["two"]
    assert choose(everything, None) == everything
    with pytest.raises(ValueError, match=r"one, two\. Got three"):
        choose(everything, ["one", "three"])
