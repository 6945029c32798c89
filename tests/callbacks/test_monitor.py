"""Figures: the two kinds never meet, and none is logged twice."""

from __future__ import annotations

import csv

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks.monitor import EarlyLog, Monitor
from tests.callbacks.parts import make_state


def rows(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def folder(tmp_path):
    monitor = Monitor(tmp_path)
    monitor.on_run_start(make_state())
    for index in range(2):
        state = make_state(index)
        state.metrics = {"released/epsilon": 1.0 + index, "local/loss/ann": 0.5}
        monitor.on_round_start(state)
        monitor.on_round_end(state)
    state.metrics["local/held_out_own"] = 0.25
    monitor.show("local", "local/sample/ann", torch.zeros(3, 8, 16, dtype=torch.uint8))
    monitor.on_run_end(state)
    return tmp_path


def test_tables_hold_one_kind_each_and_every_figure_once(folder):
    assert rows(folder / "metrics.csv") == [
        ["round", "tag", "value"],
        ["1", "released/epsilon", "1.0"],
        ["2", "released/epsilon", "2.0"],
    ]
    local = rows(folder / "local" / "metrics.csv")
    assert {tag.split("/")[0] for _, tag, _ in local[1:]} == {"local"}
    assert [row for row in local if row[1] == "local/held_out_own"] == [["2", "local/held_out_own", "0.25"]]


def test_tensorboard_shows_each_kind_in_a_folder_of_its_own(folder):
    for kind, tag in (("released", "released/epsilon"), ("local", "local/held_out_own")):
        events = EventAccumulator(str(folder / kind)).Reload()
        assert tag in events.Tags()["scalars"]
        assert all(name.startswith(kind) for name in events.Tags()["scalars"])
    assert not [name for name in (folder / "released").rglob("*") if "ann" in name.name]


def test_every_client_is_a_run_so_that_one_chart_holds_all(folder):
    events = EventAccumulator(str(folder / "local" / "people" / "ann")).Reload()
    assert events.Tags()["scalars"] == ["local/loss"]
    assert events.Tags()["images"] == ["local/sample"]
    assert [event.step for event in events.Scalars("local/loss")] == [1, 2]


def test_a_resumed_run_appends(folder):
    monitor, state = Monitor(folder), make_state(2)
    state.metrics = {"released/epsilon": 3.0}
    monitor.on_run_start(state)
    monitor.on_round_end(state)
    assert rows(folder / "metrics.csv")[-1] == ["3", "released/epsilon", "3.0"]
    assert sum(row[0] == "round" for row in rows(folder / "metrics.csv")) == 1


def test_a_figure_of_neither_kind_is_refused_not_lost(tmp_path):
    state = make_state()
    state.metrics = {"released/epsilon": 1.0, "loss": 0.5}
    with pytest.raises(ValueError, match=r"must begin with released/ or local/\. Got loss\."):
        Monitor(tmp_path).on_round_end(state)


def test_other_devices_write_nothing(tmp_path):
    monitor, state = Monitor(tmp_path), make_state()
    state.is_main, state.metrics = False, {"released/epsilon": 1.0}
    monitor.on_round_end(state)
    monitor.on_run_end(state)
    assert not list(tmp_path.iterdir())


def test_a_round_is_logged_before_what_takes_long_and_the_rest_after_it(tmp_path):
    monitor = Monitor(tmp_path)
    monitor.on_run_start(make_state())
    state = make_state(0)
    state.metrics = {"released/epsilon": 1.0}
    EarlyLog(monitor).on_round_end(state)
    assert ["1", "released/epsilon", "1.0"] in rows(tmp_path / "metrics.csv")
    state.metrics["local/held_out_own"] = 0.25
    monitor.on_round_end(state)
    assert len(rows(tmp_path / "metrics.csv")) == 2
    assert ["1", "local/held_out_own", "0.25"] in rows(tmp_path / "local" / "metrics.csv")
    assert state.metrics["released/epsilon"] == 1.0, "who comes later may still read it"


def test_a_figure_that_is_measured_again_is_logged_again(tmp_path):
    monitor, state = Monitor(tmp_path), make_state()
    for value in ("0.25", "0.25", "0.5"):
        state.metrics["local/held_out_own"] = float(value)
        monitor.on_round_end(state)
    values = [row[2] for row in rows(tmp_path / "local" / "metrics.csv") if row[1] == "local/held_out_own"]
    assert values == ["0.25", "0.25", "0.5"]
