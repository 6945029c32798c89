"""Pairs of frames for the mover: two clips of one person, where there are two."""

from __future__ import annotations

from dataclasses import replace

import torch

from datamodules.public import PublicPeople


def test_a_pairs_reference_is_of_another_clip_of_the_same_person(make_clip):
    people = {
        person: [
            replace(
                make_clip(person), frames=torch.full((5, 3, 2, 2), level, dtype=torch.uint8), motion=torch.zeros(5, 6)
            )
            for level in levels
        ]
        for person, levels in {"ada": (0, 40), "bob": (200, 240)}.items()
    }
    references, frames, _ = (part.flatten(1)[:, 0] for part in PublicPeople(people).draw_pairs(50, seed=0))
    assert (references != frames).all()
    assert torch.equal(references > 0, frames > 0)
