"""How far the judges can be trusted: what each gets right on people that nothing was trained on."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_auroc, binary_eer

from datamodules.audio import log_mel_windows
from datamodules.clips import Clip
from evaluation.judges.true_points import points_of_clip
from evaluation.metrics.lip_sync import MAX_OFFSET, lip_sync
from evaluation.protocols import FaceJudge, PointJudge, SyncJudge

NEAR = 1
"""Frames that a best offset may be off and still be right; a frame is 40 ms."""

SIZE = 64
"""Pixels per side of the frame that errors of points are told in."""

People = dict[str, list[Clip]]
"""Clips by person; their frames may be other than those recorded, e.g. after an autoencoder."""


def score_faces(judge: FaceJudge, known: People, asked: People) -> dict[str, float]:
    """Score recognition among a few people.

    Args:
        judge: The network.
        known: Clips that the judge knows the people by: the mean of their frames' embeddings.
        asked: Other clips of the same people.

    Returns:
        `top-1`: share of the frames asked about that lie nearest to their own person.
        `eer`: the equal error rate of telling from one frame's cosine to a person whether it shows that person. It
            counts every frame, though the frames of one clip are no independent trials.
    """
    means = [judge.embed(torch.cat([clip.frames for clip in clips])).mean(0) for clips in known.values()]
    gallery = F.normalize(torch.stack(means), dim=-1)
    frames = {name: torch.cat([clip.frames for clip in asked[name]]) for name in known}
    cosines = torch.cat([judge.embed(own) for own in frames.values()]) @ gallery.T
    owner = torch.cat([torch.full((len(own),), number) for number, own in enumerate(frames.values())])
    same = F.one_hot(owner, len(gallery)).flatten()
    return {
        "top-1": (cosines.argmax(-1) == owner).float().mean().item(),
        "eer": binary_eer((cosines.flatten() + 1) / 2, same).item(),
    }


def score_sync(judge: SyncJudge, people: People) -> dict[str, float]:
    """Score lip sync.

    Returns:
        `in sync`: share of clips whose sound lies nearest where it was recorded, give or take one frame; the search
            goes 15 frames to either side, so that chance is about a tenth.
        `auc`: how well the distance of a single moment of five frames tells its own sound from one that is 2 to 15
            frames away; pauses, where nothing tells them apart, are among them.
    """
    hits, aligned, apart = [], [], []
    for clip in (clip for clips in people.values() for clip in clips):
        seen = judge.embed_frames(clip.frames)
        heard = judge.embed_sound(log_mel_windows(clip.waveform, len(clip.frames)))
        hits.append(abs(lip_sync(seen, heard).offset) <= NEAR)
        distances = torch.cdist(seen, heard)
        places = torch.arange(len(seen))
        offset = (places[None] - places[:, None]).abs()
        aligned.append(distances.diagonal())
        apart.append(distances[(offset > NEAR) & (offset <= MAX_OFFSET)])
    near, far = torch.cat(aligned), torch.cat(apart)
    own = torch.cat([torch.ones(len(near)), torch.zeros(len(far))]).long()
    return {"in sync": sum(hits) / len(hits), "auc": binary_auroc(1 - torch.cat([near, far]) / 2, own).item()}


def score_points(judge: PointJudge, people: People) -> dict[str, float]:
    """Return how far each point lies from where it truly is, mean over all frames, and the `mean` of all points.

    In pixels of a 64-pixel frame.
    """
    errors = [
        SIZE * (judge.locate(clip.frames) - points_of_clip(clip)).norm(dim=-1)
        for clips in people.values()
        for clip in clips
    ]
    each = torch.cat(errors).mean(0)
    return {"mean": each.mean().item()} | dict(zip(judge.points, each.tolist(), strict=True))
