"""The base's table: pairs that are fair, bars that can be missed, and the whole command on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.base import measure_base
from benchmarks.base_scores import CHANCE, OTHER, PICTURE, POSE, SOUND, STATIC, Figures, demand, score_shuffled
from benchmarks.cases import make_cases, noise, shuffled_pairs, static_copy
from benchmarks.metrics import Estimate
from datamodules.clips import Clip
from datamodules.demo import record
from datamodules.demo_person import HELD_OUT_SEEDS, draw_person, name_of
from tests.tiny_model import make_tiny_base


@pytest.fixture(scope="module")
def cases():
    people = {}
    for seed in HELD_OUT_SEEDS[:3]:
        taken = [record(draw_person(seed), number, frames=30) for number in range(2)]
        people[name_of(seed)] = [
            Clip(name_of(seed), f"clip_{n:02d}", t.frames, t.waveform, t.motion, t.mouth, Path(f"{seed}/{n}.mp4"), 0.0)
            for n, t in enumerate(taken)
        ]
    return make_cases(people, 11)


def test_a_case_is_the_middle_of_a_clip_with_the_reference_from_another(cases):
    assert [case.person for case in cases] == ["p2000", "p2000", "p2001", "p2001", "p2002", "p2002"]
    case, other = cases[0], cases[1]
    assert case.start == 9
    assert torch.equal(case.frames, case.clip.frames[9:20])
    assert torch.equal(case.reference, other.clip.frames[0])
    assert case.mel.shape == (11, 20, 80)
    assert torch.equal(static_copy(case)[7], case.reference)
    assert noise(case).shape == case.frames.shape


def test_shuffled_sound_is_always_another_persons_and_pairs_differ(cases):
    pairs = list(shuffled_pairs(cases, 18))
    assert all(case.person != sound.person for case, sound in pairs)
    assert len({(id(case), id(sound)) for case, sound in pairs}) == 18
    assert [case for case, _ in pairs[:6]] == cases


@pytest.mark.parametrize("count", [0, 19])
def test_more_pairs_than_there_are_are_refused(cases, count):
    with pytest.raises(ValueError, match="1 to 18"):
        list(shuffled_pairs(cases, count))


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

    frames = {STATIC: scores(PSNR=18, mouth_PSNR=16, mouth_r=0), POSE: scores(PSNR=22, mouth_PSNR=mouth, mouth_r=0.9)}
    frames[SOUND] = scores(PSNR=10, mouth_PSNR=10, mouth_r=0)
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
    assert set(kept["frames"]) == {"noise", "static copy", "through the VAE", "clean render", POSE, SOUND}
    assert kept["frames"]["clean render"]["mouth r"]["mean"] > 0.95
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.height == 6 * 64
    assert "| mouth-opening r, pose given |" in capsys.readouterr().out
