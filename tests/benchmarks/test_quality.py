"""Each thing that a talking head must show can be met, and missed by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality import BY_BASE, HEARD, POSED, SHUFFLED, measure_quality
from evaluation.anchors import RECORDED, STATIC
from evaluation.scores import Score, save_scores
from evaluation.systems import BASE, POSE

PEOPLE, CLIPS = "abcdefgh", range(5)
GOOD = {
    POSED: {"PSNR": 28, "SSIM": 0.93, "mouth PSNR": 24, "mouth r": 0.95, "CSIM-local": 0.9},
    HEARD: {"PSNR": 20, "mouth r": 0.92},
    SHUFFLED: {"mouth r": 0.0},
    STATIC: {"PSNR": 19, "SSIM": 0.7, "mouth PSNR": 17, "change error": 3.0},
    RECORDED: {"PSNR": 99},
    f"{BASE}, {POSE}": {"mouth PSNR": 22, "CSIM-local": 0.8},
}
GOOD[POSED] |= {"change ratio to VAE": 1.0, "change error": 2.0, "seconds per frame": 0.1}
for system in (POSED, HEARD, SHUFFLED, RECORDED, STATIC):
    GOOD[system] |= {"nearest is the owner-local": 0.99}


def base_report(folder: Path, nearest: float) -> str:
    """Write what `benchmarks/base.py` leaves of people of whom this share is recognised."""
    path = folder / "base.json"
    frames = {kind: {"nearest is the owner": {"mean": nearest}} for kind in BY_BASE}
    path.write_text(json.dumps({"options": {"people": 10, "clips": 2}, "frames": frames}))
    return str(path)


def write(folder: Path, figures: dict[str, dict[str, float]]) -> str:
    """Write scores that differ a little between people and not at all between systems."""
    scores = [
        Score(system, person, f"clip_{clip}", metric, value + 0.001 * number)
        for system, row in figures.items()
        for metric, value in row.items()
        for number, person in enumerate(PEOPLE)
        for clip in CLIPS
    ]
    save_scores(folder / "metrics.csv", scores)
    return str(folder)


def missed(
    folder: Path, change: dict[str, dict[str, float]] | None = None, base: float = 1.0, **fewer: float
) -> list[str]:
    """Return the bars that are missed with some figures changed, those of few steps by name of the metric."""
    change = change or {}
    whole = {system: row | change.get(system, {}) for system, row in GOOD.items()}
    few = {
        POSED: {"PSNR": 27.8, "mouth r": 0.93, "seconds per frame": 0.03}
        | {k.replace("_", " "): fewer[k] for k in fewer}
    }
    evaluations = write(folder / "whole", whole), write(folder / "few", few)
    bars = measure_quality("none", *evaluations, base_report(folder, base), str(folder / "quality.json"))
    return [bar.name for bar in bars if not bar.met]


def test_all_bars_can_be_met(tmp_path):
    assert missed(tmp_path) == []
    kept = json.loads((tmp_path / "quality.json").read_text())
    assert (kept["people"], kept["clips"]) == (8, 40)
    assert kept["frames"][POSED]["PSNR"] == pytest.approx(28.0035)
    assert kept["frames"][STATIC] == pytest.approx({"PSNR": 19.0035, "SSIM": 0.7035, "mouth PSNR": 17.0035})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({POSED: {"PSNR": 26.5}}, ["PSNR in dB, pose given"]),
        ({POSED: {"SSIM": 0.8}}, ["SSIM, pose given"]),
        ({STATIC: {"PSNR": 26}}, ["PSNR above the static copy in dB, pose given"]),
        ({STATIC: {"mouth PSNR": 19}}, ["mouth PSNR above the static copy in dB, pose given"]),
        ({POSED: {"mouth r": 0.89}}, [f"mouth r, {POSED}"]),
        ({HEARD: {"mouth r": 0.5}}, [f"mouth r, {HEARD}"]),
        ({HEARD: {"nearest is the owner-local": 0.8}}, ["generated clips nearest to their owner"]),
        ({RECORDED: {"nearest is the owner-local": 0.8}}, ["recorded clips nearest to their owner"]),
        ({STATIC: {"nearest is the owner-local": 0.8}}, ["static copies nearest to their owner"]),
        ({POSED: {"change ratio to VAE": 0.5}}, ["frame-to-frame change, relative to the truth through the VAE"]),
        ({POSED: {"change ratio to VAE": 1.5}}, ["the same"]),
        ({POSED: {"change error": 4.0}}, ["error of the change, levels of 255, against the static copy's"]),
        ({f"{BASE}, {POSE}": {"mouth PSNR": 24.1}}, ["mouth PSNR above the base's, lower end of the interval"]),
        ({POSED: {"CSIM-local": 0.79}}, ["CSIM above the base's, lower end of the interval"]),
    ],
)
def test_each_bar_can_be_missed_alone(tmp_path, change, names):
    assert missed(tmp_path, change) == names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fewer", "name"),
    [
        ({"PSNR": 27.0}, "few steps: PSNR lost in dB"),
        ({"mouth_r": 0.9}, "few steps: mouth r lost"),
        ({"seconds_per_frame": 0.06}, "few steps: times faster"),
    ],
)
def test_few_steps_can_cost_too_much(tmp_path, fewer, name):
    assert missed(tmp_path, **fewer) == [name]


@pytest.mark.slow
def test_held_out_people_count_for_likeness(tmp_path):
    assert missed(tmp_path, base=0.9) == ["generated clips nearest to their owner"]


@pytest.mark.slow
def test_likeness_over_few_clips_is_no_likeness(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.quality.LEAST_CLIPS", 1000)
    assert missed(tmp_path) == ["of so many clips"]
