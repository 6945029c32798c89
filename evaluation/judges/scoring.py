"""Shows held-out people to the judges in several ways: as recorded, through an autoencoder, in others' rooms."""

from __future__ import annotations

from dataclasses import replace

from datamodules.clips import Clip
from evaluation.anchors import AUTOENCODER, RECORDED, through_autoencoder
from evaluation.judges.accuracy import People, score_faces, score_points, score_sync
from evaluation.judges.swapped import swap_surroundings
from evaluation.protocols import Judges
from lightning_modules.backbone import Backbone

OTHERS_ROOMS = "others' rooms"

Scores = dict[str, dict[str, dict[str, float]]]
"""By judge, by what it was shown, by figure."""


def score_judges(judges: Judges, people: People, backbone: Backbone | None) -> Scores:
    """Score the judges of faces, lips and points.

    Args:
        judges: None of the three is None.
        people: Demo people that nothing was trained on, at least two with at least two clips each.
        backbone: Through whose autoencoder frames go, too; None leaves that out. Faces are known as recorded.

    Raises:
        ValueError: If there are too few people or clips.
    """
    if len(people) < 2 or any(len(clips) < 2 for clips in people.values()):
        raise ValueError("`--held_out` must hold at least two people with two clips each, one to know each person by.")
    known = {name: clips[:1] for name, clips in people.items()}
    size = next(iter(known.values()))[0].frames.shape[-1]
    shown = {RECORDED: people}
    if backbone is not None:
        shown[AUTOENCODER] = {name: [_pass(clip, backbone) for clip in clips] for name, clips in people.items()}
    asked = {way: {name: clips[1:] for name, clips in who.items()} for way, who in shown.items()}
    asked[OTHERS_ROOMS] = swap_surroundings(list(people), size)
    return {
        "identity": {way: score_faces(judges.identity, known, who) for way, who in asked.items()},
        "sync": {way: score_sync(judges.sync, who) for way, who in shown.items()},
        "landmarks": {way: score_points(judges.landmarks, who) for way, who in shown.items()},
    }


def _pass(clip: Clip, backbone: Backbone) -> Clip:
    return replace(clip, frames=through_autoencoder(backbone, clip.frames))
