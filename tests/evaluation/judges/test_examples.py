"""Draws follow from their seed, and what belongs together is drawn together."""

from __future__ import annotations

import pytest
import torch

from datamodules.audio import log_mel_windows
from evaluation.judges.examples import Examples
from evaluation.judges.true_points import points_of_clip


def as_shown(frames: torch.Tensor) -> torch.Tensor:
    return frames.float() / 127.5 - 1


@pytest.mark.parametrize("draw", ["draw_faces", "draw_points"])
def test_a_seed_draws_the_same_again(people, draw):
    first, again, other = (getattr(Examples(people), draw)(6, seed) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_a_face_comes_with_its_person(people):
    frames, persons = Examples(people).draw_faces(20, 0)
    assert set(persons.tolist()) == {0, 1, 2}
    for frame, person in zip(frames, persons.tolist(), strict=True):
        own = torch.cat([as_shown(clip.frames) for clip in list(people.values())[person]])
        assert (own == frame).flatten(1).all(1).any()


def test_points_come_with_their_frame(people):
    frames, points = Examples(people).draw_points(8, 0)
    clips = [clip for own in people.values() for clip in own]
    known = torch.cat([as_shown(clip.frames) for clip in clips])
    truth = torch.cat([points_of_clip(clip) for clip in clips])
    for frame, drawn in zip(frames, points, strict=True):
        assert torch.equal(truth[(known == frame).flatten(1).all(1)][0], drawn)


def test_the_sound_of_a_window_is_that_of_its_middle_frame(people):
    frames, mel = Examples(people).draw_windows(clips=2, each=3, seed=0)
    assert frames.shape == (6, 3, 5, 64, 64)
    assert mel.shape == (6, 20, 80)
    for window, sound in zip(frames.transpose(1, 2), mel, strict=True):
        found = []
        for clip in (clip for own in people.values() for clip in own):
            sounds = log_mel_windows(clip.waveform, len(clip.frames))
            for middle in range(2, len(clip.frames) - 2):
                if torch.equal(as_shown(clip.frames[middle - 2 : middle + 3]), window):
                    found.append(torch.equal(sounds[middle], sound))
        assert any(found)


def test_one_person_is_not_enough(people):
    with pytest.raises(ValueError, match=r"at least two\. Got 1"):
        Examples(dict(list(people.items())[:1]))
