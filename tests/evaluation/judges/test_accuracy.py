"""Judges that know everything score perfectly, and those that know nothing score like chance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluation.judges.accuracy import score_faces, score_points, score_sync
from evaluation.judges.landmarks import POINTS
from evaluation.judges.true_points import points_of_clip


class Knowing:
    """A judge that looks its answers up."""

    points = POINTS

    def __init__(self, people, late: int = 0, aside: float = 0.0) -> None:
        self.clips = [clip for clips in people.values() for clip in clips]
        self.names = list(people)
        self.late, self.aside = late, aside

    def _find(self, frames: Tensor):
        return next(clip for clip in self.clips if torch.equal(clip.frames[: len(frames)], frames))

    def embed(self, frames: Tensor) -> Tensor:
        person = self.names.index(self._find(frames).person)
        return torch.eye(len(self.names))[person].expand(len(frames), -1)

    def embed_frames(self, frames: Tensor) -> Tensor:
        return torch.eye(len(frames) - 4).roll(self.late, dims=1)

    def embed_sound(self, mel: Tensor) -> Tensor:
        return torch.eye(len(mel) - 4)

    def locate(self, frames: Tensor) -> Tensor:
        return points_of_clip(self._find(frames)) + torch.tensor([self.aside, 0.0])


class Guessing:
    """A judge that has no idea."""

    points = POINTS

    def embed(self, frames: Tensor) -> Tensor:
        return torch.nn.functional.normalize(torch.randn(len(frames), 8), dim=-1)

    embed_frames = embed_sound = lambda self, frames: self.embed(frames[4:])


@pytest.fixture
def halves(people):
    return ({name: clips[part] for name, clips in people.items()} for part in (slice(1), slice(1, None)))


@pytest.mark.slow
def test_who_knows_everybody_makes_no_mistake(people, halves):
    assert score_faces(Knowing(people), *halves) == {"top-1": 1.0, "eer": 0.0}


@pytest.mark.slow
def test_who_knows_nobody_guesses(people, halves):
    scores = score_faces(Guessing(), *halves)
    assert scores["top-1"] == pytest.approx(1 / 3, abs=0.15)
    assert scores["eer"] == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("late", "share"), [(0, 1.0), (1, 1.0), (-1, 1.0), (3, 0.0), (-6, 0.0)])
def test_a_frame_late_is_in_sync_and_three_are_not(people, late, share):
    assert score_sync(Knowing(people, late), people)["in sync"] == share


@pytest.mark.slow
def test_moments_are_told_apart_only_by_who_can(people):
    assert score_sync(Knowing(people), people)["auc"] == 1.0
    assert score_sync(Knowing(people, late=3), people)["auc"] < 0.5
    assert score_sync(Guessing(), people)["auc"] == pytest.approx(0.5, abs=0.1)


def test_errors_of_points_are_pixels_of_64(people):
    assert score_points(Knowing(people), people)["mean"] == 0
    scores = score_points(Knowing(people, aside=2 / 64), people)
    assert set(scores) == {"mean", *POINTS}
    assert all(error == pytest.approx(2, abs=1e-4) for error in scores.values())
