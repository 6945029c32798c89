"""Costs are those of the true protocol: sums are checked, floors do the whole work, the least time counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import cpu_time, mask_expansion, noise_and_epsilon
from benchmarks.cpu_time import best_of, timed
from benchmarks.mask_expansion import Expansion, expand_and_add
from benchmarks.noise_and_epsilon import measure_epsilon, measure_noise
from benchmarks.privacy import measure_privacy
from benchmarks.privacy_costs import measure_round
from benchmarks.secure_rounds import STAGES, SecureRounds
from federation.privacy.cohort_counts import provision
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.secure_aggregation.masks import BLOCK_WORDS, add_keystreams
from federation.secure_aggregation.server import SecureServer
from federation.secure_aggregation.stages import Stage

SMALL = {"dimension": 100, "clients": 8, "dropouts": 1, "flower_clients": 8, "rounds": 1, "repeats": 2, "points": 1}


def test_works_take_turns_and_the_least_time_counts(monkeypatch):
    order, clock = [], iter([0, 5, 10, 12, 20, 23, 30, 37])
    monkeypatch.setattr(cpu_time.time, "process_time", lambda: next(clock))
    assert best_of(2, lambda: order.append("a"), lambda: order.append("b")) == [3, 2]
    assert order == ["a", "b", "a", "b"]


def test_a_timed_work_gets_its_arguments_and_keeps_its_result():
    result, seconds = timed(divmod, 17, 5)
    assert result == (3, 2)
    assert seconds >= 0


@pytest.mark.parametrize("words", [BLOCK_WORDS, BLOCK_WORDS + 3])
def test_the_floors_add_the_same_keystream(words, monkeypatch):
    monkeypatch.setattr(mask_expansion.os, "urandom", bytes)
    expected, vector = (np.arange(BLOCK_WORDS + 3, dtype=np.uint32) for _ in range(2))
    add_keystreams(expected, [bytes(32)])
    expand_and_add(vector, words)()
    np.testing.assert_array_equal(vector, expected)


def test_the_faster_floor_is_the_measure():
    assert Expansion(3.0, 2.0, 1.5).ratio == Expansion(3.0, 1.5, 2.0).ratio == 2.0


def test_a_round_is_timed_for_everybody_who_is_in_it():
    rounds = SecureRounds(provision(8, 0.1, 0.1), 50)
    vectors = {name: np.full(50, 2**31 + number, np.uint32) for number, name in enumerate(rounds.names)}
    for _ in range(2):
        costs = rounds.run(vectors, dropped=rounds.names[:1])
        assert [len(costs[stage].clients) for stage in STAGES] == [8, 8, 7, 7, 7]
        assert all(cost.server > 0 and min(cost.clients) > 0 for cost in costs.values())
    assert set(costs[Stage.MASK_INPUT].sent) == {40 + 4 * 50}


def test_times_of_a_wrong_sum_are_refused(monkeypatch):
    monkeypatch.setattr(SecureServer, "result", lambda server: np.zeros(50, np.uint32))
    rounds = SecureRounds(provision(8, 0.1, 0.1), 50)
    with pytest.raises(RuntimeError, match="mean nothing"):
        rounds.run(dict.fromkeys(rounds.names, np.ones(50, np.uint32)))


def test_all_that_a_client_does_is_in_its_figure():
    figures, bars = measure_round(100, 8, 1, 1)
    assert list(figures["client"]) == ["clip", "noise", *(stage.name.lower() for stage in STAGES)]
    assert bars[0].value == sum(figures["client"].values())
    assert bars[1].value == sum(figures["server"].values())
    assert figures["sampler_table"] > 0


def test_noise_of_the_right_variance_meets_the_bar_and_other_noise_does_not(monkeypatch):
    ratios, _ = measure_noise(20_000)
    assert list(ratios) == ["8", "9", "10"]
    assert all(abs(ratio - 1) < 7 * np.sqrt(2 / 20_000) for ratio in ratios.values())
    sample = DiscreteGaussian.sample
    monkeypatch.setattr(DiscreteGaussian, "sample", lambda *args: sample(*args) * 2)
    ratios, bars = measure_noise(20_000)
    assert min(ratios.values()) > 3
    assert not bars[0].met


def test_epsilon_is_compared_with_the_other_accountants(monkeypatch, tmp_path):
    assert all(bar.met for bar in measure_epsilon(points=1)[1])
    grid = json.loads(noise_and_epsilon.GRID.read_text())
    grid["points"][0]["epsilon"] += 0.1
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    monkeypatch.setattr(noise_and_epsilon, "GRID", tmp_path / "grid.json")
    assert [bar.met for bar in measure_epsilon(points=1)[1]] == [True, False, True]


def test_the_command_prints_the_tables_and_keeps_the_figures(tmp_path, capsys):
    bars = measure_privacy(**SMALL, properties=False, out=str(tmp_path / "privacy.json"))
    kept, shown = json.loads((tmp_path / "privacy.json").read_text()), capsys.readouterr().out
    assert len(kept["bars"]) == len(bars) == 16
    assert all(bar.name in shown for bar in bars)
    assert "| client, once per session | sampler's table |" in shown
    skipped = [bar for bar in bars if "--properties=false" in bar.name]
    assert len(skipped) == 5
    assert {bar.verdict for bar in skipped} == {"not measured"}


@pytest.mark.parametrize("option", ["rounds", "repeats"])
def test_nothing_is_measured_without_a_repeat(option):
    with pytest.raises(ValueError, match=f"--{option}"):
        measure_privacy(**SMALL | {option: 0})
