"""Windows of public people follow from the seed alone, and each person's clips are encoded once."""

from __future__ import annotations

import pytest
import torch

from datamodules.public_windows import PublicWindows
from datamodules.windows import draw_window

LENGTHS = {"ada": (30, 40), "bob": (50,), "eve": (35, 45, 55)}


@pytest.fixture
def people(make_clip):
    return [
        [make_clip(person, str(number), frames, seed=number) for number, frames in enumerate(lengths)]
        for person, lengths in LENGTHS.items()
    ]


def test_a_seed_draws_people_then_a_window_of_each(people, mark_clip):
    batch = PublicWindows(people, 8, mark_clip).draw(20, seed=3)
    generator = torch.Generator().manual_seed(3)
    chosen = [people[number] for number in torch.randint(len(people), (20,), generator=generator).tolist()]
    for row, clips in enumerate(chosen):
        window = draw_window([len(clip.frames) for clip in clips], 8, generator)
        shown, reference = clips[window.clip], clips[window.reference_clip]
        rows = slice(window.start, window.start + 8)
        assert torch.equal(batch["frames"][row], shown.frames[rows].float())
        assert torch.equal(batch["mouth"][row], mark_clip(shown)["mouth"][rows].half().float())
        assert torch.equal(batch["reference_frame"][row], reference.frames[window.reference_frame].float())


def test_a_clip_is_encoded_when_its_person_is_drawn_and_not_again(people, mark_clip):
    asked = []
    windows = PublicWindows(people, 8, lambda clip: asked.append((clip.person, clip.name)) or mark_clip(clip))
    assert not asked
    batch = windows.draw(30, seed=0)
    assert sorted(asked) == [(clip.person, clip.name) for clips in people for clip in clips]
    again = windows.draw(30, seed=0)
    assert len(asked) == 6
    assert all(torch.equal(batch[name], again[name]) for name in batch)
