"""The base's table: pairs that are fair, bars that can be missed, and the whole command on a tiny model."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from benchmarks.base import measure_base
from benchmarks.base_scores import (
    BASE_FEW,
    BASE_NATURAL,
    BASE_POSED,
    BASE_SOUND,
    CHANCE,
    OTHER,
    PICTURE,
    Figures,
    demand,
    score_shuffled,
)
from benchmarks.drawn_cases import shuffled_pairs
from evaluation.anchors import AUTOENCODER, CLEAN, NOISE, STATIC
from evaluation.statistics import Estimate
from tests.evaluation.drawn import draw_cases
from tests.tiny_model import make_tiny_base


@pytest.fixture(scope="module")
def cases():
    return draw_cases()


@pytest.mark.slow
def test_a_mouth_that_follows_the_picture_is_told_from_one_that_follows_the_sound(cases):
    pairs = list(shuffled_pairs(cases, 6))
    deaf = score_shuffled(pairs, [case.frames for case, _ in pairs])
    hearing = score_shuffled(pairs, [sound.frames for _, sound in pairs])
    assert deaf[PICTURE].mean > 0.9
    assert hearing[OTHER].mean > 0.9
    assert hearing[PICTURE].mean == pytest.approx(hearing[CHANCE].mean, abs=0.15)


def figures(leak: float = 0.05, mouth: float = 21.0) -> Figures:
    def scores(**values: float) -> dict[str, Estimate]:
        return {name.replace("_", " "): Estimate(value, None, None) for name, value in values.items()}

    frames = {
        STATIC: scores(PSNR=18, mouth_PSNR=16, mouth_r=0),
        BASE_POSED: scores(PSNR=22, mouth_PSNR=mouth, mouth_r=0.9),
    }
    frames[BASE_SOUND] = scores(PSNR=10, mouth_PSNR=10, mouth_r=0)
    shuffled = {PICTURE: Estimate(leak, None, None), CHANCE: Estimate(0.0, None, None)}
    return Figures({"mean": 31.0}, frames, shuffled)


def test_each_bar_can_be_met_and_missed():
    assert all(bar.met for bar in demand(figures()))
    assert [bar.name for bar in demand(figures(leak=0.11)) if not bar.met] == ["shuffled sound, r"]
    assert [bar.name for bar in demand(figures(mouth=18.9)) if not bar.met] == ["mouth region, PSNR in dB, pose given"]
    assert not demand(figures(mouth=float("nan")))[2].met


@pytest.mark.slow
def test_the_command_leaves_figures_and_a_sheet(tmp_path, capsys):
    base = make_tiny_base(tmp_path / "base")
    out = tmp_path / "results" / "base.json"
    options = {"people": 2, "clips": 2, "frames": 9, "steps": 1, "pairs": 4}
    bars = measure_base(str(base), **options, root=str(tmp_path / "people"), out=str(out))
    assert len(bars) == 5
    assert not any(bar.met for bar in bars[:2])  # nothing was trained
    kept = json.loads(out.read_text())
    assert kept["options"].items() >= options.items()
    made = {BASE_POSED, BASE_FEW, BASE_SOUND, BASE_NATURAL}
    assert set(kept["frames"]) == made | {NOISE, STATIC, AUTOENCODER, CLEAN}
    assert kept["frames"][STATIC]["nearest is the owner"]["mean"] == 1
    assert kept["frames"][CLEAN]["mouth r"]["mean"] > 0.95
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.height == 7 * 64
    assert "| mouth-opening r, pose given |" in capsys.readouterr().out
