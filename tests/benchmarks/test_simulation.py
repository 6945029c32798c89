"""The engines do the same work, what they add is counted right, and an engine that is missing claims nothing."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks import simulation
from benchmarks.engines.engine import Engine
from benchmarks.engines.ours import run_rounds
from benchmarks.engines.trace import longest_first_makespan, spread_costs
from benchmarks.engines.work import Done, Work, make_net, norm, take_steps
from benchmarks.simulation import BARE, OURS, compare_engines, judge, overhead, take_turns
from tests.tiny import tiny_fabric

WORK = Work(clients=4, steps=2, width=8, rounds=3, processes=2)


def test_our_rounds_are_the_average_of_the_clients_steps(tmp_path):
    start = [value.detach().clone() for value in make_net(8).parameters()]
    ends = []
    for client in WORK.names:
        make_net(8).load_state_dict(dict(zip(make_net(8).state_dict(), start, strict=True)))
        take_steps(make_net(8), WORK.batches(client))
        ends.append([value.detach().clone() for value in make_net(8).parameters()])
    expected = norm([sum(values) / len(ends) for values in zip(*ends, strict=True)])
    make_net(8).load_state_dict(dict(zip(make_net(8).state_dict(), start, strict=True)))
    done = run_rounds(tiny_fabric(), Work(4, 2, 8, rounds=1, processes=1), tmp_path)
    assert done.checksum == pytest.approx(expected, rel=1e-6)
    assert abs(norm(start) - expected) > 1e-4


def test_what_an_engine_adds_is_its_rounds_less_the_training_per_client_and_process():
    runs = {
        BARE.name: [Done([9, 9, 1.0, 1.0, 5.0], 1.0), Done([9, 9, 2.0], 1.0)],
        OURS.name: [Done([99, 99, 1.5], 1.0), Done([99, 99, 2.5], 1.0)],
    }
    assert overhead(runs, OURS.name, clients=10) == pytest.approx(1e3 * 0.5 * 2 / 10)


@pytest.mark.parametrize(("ours", "met"), [(2.0, [True, True]), (2.7, [True, False]), (6.5, [False, False])])
def test_bars_hold_us_against_each_engine(ours, met):
    rounds = {BARE.name: 1.0, OURS.name: ours, "pfl-research": 6.0, "Flower-Ray": 7.0}
    runs = {name: [Done([0, 0, seconds], 3.0)] for name, seconds in rounds.items()}
    same, *bars = judge(runs, 10, "here")
    assert same.met
    assert [bar.met for bar in bars] == met


def test_another_result_or_a_missing_engine_meets_no_bar():
    runs = {BARE.name: [Done([0, 0, 1.0], 3.0)], OURS.name: [Done([0, 0, 1.0], 3.001)]}
    assert [bar.verdict for bar in judge(runs, 10, "here")] == ["MISSED", "not measured", "not measured"]


def test_engines_take_turns_in_both_orders(monkeypatch):
    called = []
    monkeypatch.setattr(Engine, "run", lambda self, work, limit: called.append(self.name) or Done([1.0] * 3, 1.0))
    runs = take_turns([BARE, OURS], WORK, repeats=2, limit=1.0)
    assert called == [BARE.name, OURS.name, OURS.name, BARE.name]
    assert [len(several) for several in runs.values()] == [2, 2]


def test_the_schedule_that_knows_all_times():
    assert longest_first_makespan([3, 3, 2, 2, 2], 2) == 7  # 6 is possible; longest-first does not find it
    assert longest_first_makespan([5, 1, 1, 1], 2) == 5
    costs = spread_costs(20, 0.5)
    assert (max(costs), min(costs)) == (0.5, pytest.approx(0.05))
    assert list(costs) != sorted(costs, reverse=True)


def test_a_client_takes_its_cost_training_included():
    began = time.perf_counter()
    for number, _ in enumerate(Work(2, 2, 8, 1, 1, costs=(0.02, 0.0)).batches("0000")):
        assert number < 2
        time.sleep(0.005)
    assert time.perf_counter() - began >= 0.02


@pytest.mark.parametrize("saves", [False, True])
def test_our_rounds_are_on_disk_only_where_they_are_asked_to_be(tmp_path, saves):
    run_rounds(tiny_fabric(), Work(2, 1, 8, rounds=3, processes=1, saves=saves), tmp_path / "rounds")
    kept = ["round_0002", "round_0003"] if saves else []
    assert sorted(path.name for path in tmp_path.glob("rounds/*")) == kept


def test_an_engine_that_takes_too_long_is_ended(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 300\n")
    python.chmod(0o700)
    with pytest.raises(TimeoutError, match=r"endless was not done after 0\.1 seconds .* Give `--limit` more"):
        Engine("endless", "ours", str(python)).run(WORK, limit=0.1)


@pytest.mark.slow
def test_an_engine_says_its_versions_or_is_missing():
    assert Engine("torch", "bare", packages=("torch",)).versions().startswith("torch 2.")
    assert Engine("none", "bare", packages=("torch", "no-such-engine")).versions() is None


@pytest.mark.slow
def test_an_engine_that_fails_says_why():
    with pytest.raises(RuntimeError, match=r"(?s)broken ended without a result: .*No module named"):
        Engine("broken", "no_such_module").run(WORK)


@pytest.mark.slow
def test_both_of_ours_end_with_the_same_parameters_and_all_is_kept(tmp_path, monkeypatch, capsys):
    missing = {"pfl-research": None, "Flower-Ray": None}
    monkeypatch.setattr(Engine, "versions", lambda self: missing[self.name])
    bars = compare_engines(clients=4, local_steps=2, widths=(8,), rounds=3, repeats=1, out=str(tmp_path / "s.json"))
    assert [bar.verdict for bar in bars[:3]] == ["met", "not measured", "not measured"]
    assert "| pfl-research | not installed |" in capsys.readouterr().out
    kept = json.loads((tmp_path / "s.json").read_text())
    assert len(kept["uneven_clients"]["seconds_of_a_round"]) == 3
    assert bars[3].value > 0.9


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match="--rounds"):
        compare_engines(rounds=simulation.WARM_UP)


def test_an_engine_runs_in_the_python_it_is_given(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho mine 1.0\n")
    python.chmod(0o700)
    assert Engine("mine", "ours", str(python), ("mine",)).versions() == "mine 1.0"
