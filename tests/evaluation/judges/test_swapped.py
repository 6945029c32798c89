"""People in others' rooms keep their faces and movements."""

from __future__ import annotations

import pytest
import torch

from evaluation.judges.swapped import swap_surroundings


@pytest.mark.slow
def test_the_room_is_anothers_and_the_face_ones_own(people):
    swapped = swap_surroundings(list(people), size=64, frames=40)
    corner, nose = (slice(None), slice(0, 6), slice(0, 6)), (slice(None), slice(34, 38), slice(31, 34))
    for name, clips in people.items():
        before, after = clips[1].frames[0], swapped[name][0].frames[0]
        assert torch.equal(after[nose], before[nose])
        assert not torch.equal(after[corner], before[corner])
        assert torch.equal(swapped[name][0].motion, clips[1].motion)
