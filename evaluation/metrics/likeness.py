"""CSIM: whether frames show their owner rather than anybody else, by a network that nothing was trained against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from evaluation.cases import Case
from evaluation.protocols import FaceJudge

OWNER, NEAREST_OTHER, IS_OWNER = "CSIM", "CSIM, nearest other", "nearest is the owner"


def make_gallery(judge: FaceJudge, cases: Sequence[Case]) -> dict[str, Tensor]:
    """Return one unit vector (E,) per person: the mean over the references of their cases."""
    found: dict[str, list[Tensor]] = {}
    for case in cases:
        found.setdefault(case.person, []).append(judge.embed(case.reference[None])[0])
    return {person: F.normalize(torch.stack(vectors).mean(0), dim=0) for person, vectors in found.items()}


def score_likeness(judge: FaceJudge, frames: Tensor, person: str, gallery: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the mean cosine of uint8 frames to their owner, to the nearest other person, and 1 if the owner is nearer.

    The owner's vector is that of the reference, which a static copy repeats: it scores about 1 by construction. How
    far the judge can be trusted is what it says of the recorded frames, in the same column of a table. The more people
    are in the gallery, the harder it is to be nearest.
    """
    embedded = judge.embed(frames)
    cosines = {name: (embedded @ vector).mean().item() for name, vector in gallery.items()}
    others = [cosine for name, cosine in cosines.items() if name != person]
    if not others:
        return {OWNER: cosines[person], NEAREST_OTHER: float("nan"), IS_OWNER: float("nan")}
    nearest = max(others)
    return {OWNER: cosines[person], NEAREST_OTHER: nearest, IS_OWNER: float(cosines[person] > nearest)}
