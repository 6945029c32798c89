"""A run is read back from its own settings, or what is missing is named."""

from __future__ import annotations

import shutil

import pytest

from evaluation.finished_run import demand_own_folder, open_finished
from evaluation.scores import Score, save_scores


@pytest.mark.slow
def test_a_run_knows_its_people_adapters_and_promises(finished_run):
    run = open_finished(finished_run)
    assert run.data.clients == ["p2000", "p2001"]
    assert run.own("p2000") == finished_run / "clients" / "p2000"
    assert run.own("zoe") is None
    assert run.promises() == ["| epsilon, coins secret | 3.21 (PRV accountant) |", "| delta | 1e-05 |"]


@pytest.mark.slow
def test_people_may_have_moved(finished_run, tmp_path):
    shutil.copytree(finished_run.parent / "people" / "p2001", tmp_path / "zoe")
    assert open_finished(finished_run, str(tmp_path)).data.clients == ["zoe"]


@pytest.mark.slow
def test_what_is_missing_is_named(finished_run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.yaml"):
        open_finished(tmp_path)
    shutil.copy(finished_run / "config.yaml", tmp_path)
    with pytest.raises(FileNotFoundError, match="global adapter"):
        open_finished(tmp_path)
    settings = (finished_run / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(settings.replace(str(finished_run.parent / "base"), "gone"))
    with pytest.raises(FileNotFoundError, match="gone"):
        open_finished(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "module: 3", "data: {}", "module: [", "module: {init_args: null}", "module: {init_args: {}}\ndata: null"],
)
def test_settings_that_are_none_are_named(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml must hold the settings of a run"):
        open_finished(tmp_path)


@pytest.mark.slow
def test_a_run_without_a_card_promises_nothing(finished_run, tmp_path):
    for part in ("config.yaml", "global"):
        (shutil.copytree if (finished_run / part).is_dir() else shutil.copy)(finished_run / part, tmp_path / part)
    assert open_finished(tmp_path).promises() == []


@pytest.mark.parametrize("out", ["run", "run/local", "run/../run", "run/local/ann", "other"])
def test_where_a_run_keeps_its_metrics_no_report_goes(tmp_path, out):
    for folder in ("run/local/ann", "other/local"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run" / "local" / "ann" / "events.out.tfevents.1").touch()
    (tmp_path / "other" / "metrics.csv").write_text("round,tag,value\n1,loss,0.5\n")
    with pytest.raises(ValueError, match="`--out` must be a new folder"):
        demand_own_folder(tmp_path / out, tmp_path / "run")


def test_a_report_goes_into_a_new_folder_or_that_of_an_earlier_one(tmp_path):
    earlier = tmp_path / "run" / "local" / "evaluation"
    save_scores(earlier / "metrics.csv", [Score("base", "ann", "1", "PSNR", 20.0)])
    (earlier / "events.out.tfevents.1").touch()
    (tmp_path / "file").touch()
    demand_own_folder(earlier, tmp_path / "run")
    demand_own_folder(tmp_path / "new", tmp_path / "run")
    with pytest.raises(ValueError, match="is a file"):
        demand_own_folder(tmp_path / "file", tmp_path / "run")
