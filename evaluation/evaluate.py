"""Scores what systems made of cases: every metric of every clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from tqdm import tqdm

from evaluation.anchors import AUTOENCODER
from evaluation.cases import Case
from evaluation.clip_scores import score_clip
from evaluation.metrics.likeness import make_gallery
from evaluation.protocols import Judges
from evaluation.scores import Score
from evaluation.truth import Truth


def evaluate_cases(cases: Sequence[Case], made: Mapping[str, Sequence[Tensor]], judges: Judges) -> list[Score]:
    """Return the scores of every clip.

    Args:
        cases: What was to be made, of one person or several; likeness is judged among the people of the cases.
        made: By system: the frames of each case, uint8 (frames, 3, height, width), before any encoding. Frames through
            the VAE are looked for under `anchors.AUTOENCODER`.
        judges: The networks at hand; metrics of those that are absent are left out.

    Returns:
        One score per clip, system and metric; NaN where the metric does not apply to the clip.

    Raises:
        ValueError: If a system made another number of clips, or frames of another shape.
    """
    for system, clips in made.items():
        if len(clips) != len(cases):
            raise ValueError(f"{system} must have made {len(cases)} clips. Got {len(clips)}.")
    gallery = make_gallery(judges.identity, cases) if judges.identity is not None else {}
    scores = []
    for number, case in enumerate(tqdm(cases, "scoring", unit="clip", mininterval=5)):
        decoded = made[AUTOENCODER][number] if AUTOENCODER in made else None
        truth = Truth.of(case, judges, decoded)
        for system, clips in made.items():
            values = score_clip(clips[number], truth, judges, gallery)
            scores += [Score(system, case.person, case.name, metric, value) for metric, value in values.items()]
    return scores
