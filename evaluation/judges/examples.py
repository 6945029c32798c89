"""What judges learn from: random draws from people's clips that follow from a seed alone."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from datamodules.audio import WINDOW_FRAMES, log_mel_windows
from datamodules.clips import Clip
from datamodules.public import PublicPeople, draw_places
from evaluation.judges.true_points import points_of_clip


class Examples:
    """Frames, windows and points out of all clips of some people.

    Args:
        people: Clips by person, at least two people.
    """

    def __init__(self, people: dict[str, list[Clip]]) -> None:
        if len(people) < 2:
            raise ValueError(f"Judges learn to tell people apart and need at least two. Got {len(people)}.")
        self.people = len(people)
        self._public = PublicPeople(people)
        self._clips = [clip for _, clip in self._public.clips]
        self._points: dict[int, Tensor] = {}

    def draw_faces(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return frames (count, 3, height, width) in [-1, 1] and the number of each one's person (count,)."""
        return self._public.draw_frames(count, seed)

    def draw_points(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return frames as above and the true points in them, (count, points, 2) in [0, 1]."""
        drawn = draw_places(self._clips, count, seed)  # the same as for the faces
        frames, _ = self.draw_faces(count, seed)
        return frames, torch.stack([self._points_of(index)[frame] for index, frame in drawn])

    def draw_windows(self, clips: int, each: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return mouths that speak and what they say, of `each` different moments of `clips` random clips.

        Moments of one clip lie in a row: they are the hardest to tell apart.

        Returns:
            Five frames each, (clips * each, 3, 5, height, width) in [-1, 1], and their sound, (clips * each, 20, 80).
        """
        generator = Generator().manual_seed(seed)
        margin = WINDOW_FRAMES // 2
        frames, sounds = [], []
        for index in torch.randperm(len(self._clips), generator=generator)[:clips].tolist():
            clip = self._clips[index]
            middles = margin + torch.randperm(len(clip.frames) - 2 * margin, generator=generator)[:each]
            frames.append(clip.frames[middles[:, None] + torch.arange(-margin, margin + 1)])
            sounds.append(log_mel_windows(clip.waveform, len(clip.frames))[middles])
        return torch.cat(frames).transpose(1, 2).float() / 127.5 - 1, torch.cat(sounds)

    def _points_of(self, index: int) -> Tensor:
        if index not in self._points:
            self._points[index] = points_of_clip(self._clips[index])
        return self._points[index]
