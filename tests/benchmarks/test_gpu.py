"""The GPU benchmark at toy size: every path runs, and a row that fails leaves the others alone."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
import torch

from benchmarks.gpu import Row, measure_gpu, take_row, write_rows
from benchmarks.on_gpu.rows import make_rows
from benchmarks.report import Bar
from tests.federation.fuzz import is_full

LONG = (
    "LoRA step, rate",
    "generation, TAESD",
    "clients at once, demo",
    "clients at once, 256x256",
    "generation, KL VAE, channels last",
    "generation, KL VAE, compiled",
    "LoRA step, rate, compiled",
)
"""Rows that take the longest; they run with PRIVFEDTALK_FUZZ=full."""


def test_a_row_that_fails_says_why():
    def fail() -> list[Bar]:
        raise torch.OutOfMemoryError("no memory\nleft")

    row = take_row("large", fail)
    assert (row.bars, row.failure) == ([], "OutOfMemoryError: no memory left")
    bars = [Bar.at_least("rate", 2.0, 1.0)]
    assert take_row("small", lambda: bars).bars == bars


def test_figures_and_failures_are_written(tmp_path):
    rows = [Row("small", [Bar.at_least("rate", 0.5, 1.0)], 1.0), Row("large", [], 2.0, "OutOfMemoryError: no memory")]
    write_rows(tmp_path / "device.json", rows, toy=True)
    written = json.loads((tmp_path / "device.json").read_text())
    assert written["toy"]
    assert written["rows"][0]["bars"] == [{"name": "rate", "value": 0.5, "bar": ">= 1", "met": False}]
    table = (tmp_path / "device.md").read_text()
    assert table.startswith("Toy size")
    assert "MISSED" in table
    assert "FAILED: OutOfMemoryError: no memory" in table


def test_what_was_measured_is_kept_where_a_later_row_ends_the_command(tmp_path, monkeypatch):
    def stop() -> list[Bar]:
        raise KeyboardInterrupt

    rows = {"first": lambda: [Bar.at_least("rate", 2.0, 1.0)], "second": stop}
    monkeypatch.setattr("benchmarks.on_gpu.rows.make_rows", lambda device: rows)
    with pytest.raises(KeyboardInterrupt):
        measure_gpu(out=str(tmp_path / "rows.json"))
    kept = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["name"] for row in kept] == ["first"]
    assert "met" in (tmp_path / "rows.md").read_text()


def test_no_row_is_begun_on_a_device_that_an_earlier_one_broke(tmp_path, monkeypatch):
    rows = {"first": lambda: [Bar.at_least("rate", 2.0, 1.0)], "second": lambda: pytest.fail("it was begun")}
    monkeypatch.setattr("benchmarks.on_gpu.rows.make_rows", lambda device: rows)
    monkeypatch.setattr("benchmarks.gpu.is_usable", lambda device: False)
    first, second = measure_gpu(out=str(tmp_path / "rows.json"))
    assert first.bars[0].met
    assert second.failure == "not begun: an earlier row broke the GPU"


def test_what_a_row_leaves_in_a_cycle_is_gone_before_the_next(tmp_path, monkeypatch):
    class Model:
        def __init__(self) -> None:
            self.itself = self

    left: list[weakref.ref] = []

    def first() -> list[Bar]:
        left.append(weakref.ref(Model()))
        return []

    def second() -> list[Bar]:
        return [Bar.at_most("models left", float(left[0]() is not None), 0.0)]

    monkeypatch.setattr("benchmarks.on_gpu.rows.make_rows", lambda device: {"first": first, "second": second})
    gc.disable()
    try:
        rows = measure_gpu(out=str(tmp_path / "rows.json"))
    finally:
        gc.enable()
    assert rows[1].bars[0].met


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, whose figures are results")
def test_toy_figures_need_a_place_of_their_own():
    with pytest.raises(ValueError, match="--out"):
        measure_gpu()


def test_rows_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ValueError, match="Got matmuls"):
        measure_gpu(out=str(tmp_path / "rows.json"), only=["matmul", "matmuls"])
    assert not (tmp_path / "rows.json").exists()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU runs at full size")
def test_every_row_runs_at_toy_size(tmp_path):
    quick = [name for name in make_rows(torch.device("cpu")) if is_full() or name not in LONG]
    rows = measure_gpu(out=str(tmp_path / "toy.json"), minutes=60.0, only=quick)
    assert {row.name: row.failure for row in rows if row.failure} == {}
    assert all(row.bars for row in rows)
    for row in rows[:5]:
        assert all(bar.met for bar in row.bars), row  # what must be right is right at any size
