"""LSE-C and LSE-D find the offset between picture and sound, and are worse for a sound that belongs to another."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from evaluation.metrics.lip_sync import lip_sync


def embeddings(windows: int = 60) -> torch.Tensor:
    return F.normalize(torch.randn(windows, 16), dim=-1)


def test_what_belongs_together_is_in_sync():
    sounds = embeddings()
    found = lip_sync(sounds, sounds)
    assert found.offset == 0
    assert found.distance == pytest.approx(0, abs=1e-5)
    assert found.confidence > 1


@pytest.mark.parametrize("late", [-4, 3, 15])
def test_a_picture_that_comes_late_is_told_by_its_offset(late):
    everything = embeddings(100)
    found = lip_sync(everything[20 - late : 80 - late], everything[20:80])
    assert found.offset == late
    assert found.distance == pytest.approx(0, abs=1e-5)


def test_another_persons_sound_is_noticed():
    sounds = embeddings()
    right, wrong = lip_sync(sounds, sounds), lip_sync(embeddings(), sounds)
    assert wrong.confidence < 0.3 * right.confidence
    assert wrong.distance > right.distance + 0.5


def test_a_still_mouth_has_no_confidence():
    assert lip_sync(embeddings()[:1].expand(60, -1), embeddings()).confidence < 0.2


def test_a_clip_that_is_too_short_is_not_scored():
    assert math.isnan(lip_sync(embeddings(9), embeddings(9)).confidence)
