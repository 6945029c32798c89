"""The judges that ship are small, and right about people that nothing was trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from datamodules.audio import log_mel_windows
from datamodules.demo.person import name_of
from datamodules.demo.seeds import HELD_OUT_SEEDS
from evaluation.judges.accuracy import score_faces, score_points, score_sync
from evaluation.judges.augmentation import soften
from evaluation.judges.available import LOCAL, load_judge
from evaluation.metrics.lip_sync import lip_sync
from tests.evaluation.drawn import draw_clips

SHIPPED = Path(__file__).parents[3] / "assets" / "judges"
LARGEST = 550_000
"""Bytes of everything in the folder."""


@pytest.fixture(scope="module")
def held_out():
    return {name_of(seed): draw_clips(seed, clips=2, frames=75) for seed in HELD_OUT_SEEDS[:3]}


@pytest.fixture(scope="module")
def judges():
    return {name: load_judge(kind, SHIPPED / name) for name, kind in LOCAL.items()}


def test_they_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) <= LARGEST


def test_their_card_says_what_was_measured():
    scores = json.loads((SHIPPED / "training.json").read_text())["held_out"]
    card = (SHIPPED / "README.md").read_text()
    for shown in scores.values():
        for figures in shown.values():
            assert all(f"{value:.3f}" in card for value in figures.values())


@pytest.mark.slow
@pytest.mark.parametrize("worsen", [lambda frames: frames, lambda frames: soften(frames.float()).to(torch.uint8)])
def test_they_are_right_about_strangers(judges, held_out, worsen):
    people = {name: [replace(clip, frames=worsen(clip.frames)) for clip in own] for name, own in held_out.items()}
    known, asked = ({name: own[part] for name, own in people.items()} for part in (slice(1), slice(1, None)))
    assert score_faces(judges["identity"], known, asked)["top-1"] > 0.95
    assert score_sync(judges["sync"], people)["in sync"] > 0.8
    assert score_points(judges["landmarks"], people)["mean"] < 1.2


@pytest.mark.slow
def test_the_sync_judge_notices_faults(judges, held_out):
    judge, clips = judges["sync"], [clip for own in held_out.values() for clip in own]
    frames = [clip.frames for clip in clips]
    mels = [log_mel_windows(clip.waveform, len(clip.frames)) for clip in clips]

    def confidence(pictures, sounds):
        pairs = zip(pictures, sounds, strict=True)
        return sum(lip_sync(judge.embed_frames(own), judge.embed_sound(mel)).confidence for own, mel in pairs)

    own = confidence(frames, mels)
    assert confidence(frames, mels[2:] + mels[:2]) < 0.6 * own
    assert confidence([clip.flip(0) for clip in frames], mels) < 0.6 * own
    assert confidence([clip[:1].expand_as(clip) for clip in frames], mels) < 0.6 * own
