"""FID, KID and FVD: how far the set of all generated frames is from the set of all recorded ones.

They compare sets, not clips, and have no interval here. FID and FVD are biased upwards where there are few frames
(below 2,000 for FID with Inception): compare systems on the same clips with them, not results of different papers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from evaluation.cases import Case
from evaluation.catalogue import named
from evaluation.protocols import ClipJudge, FeatureJudge, Judges
from evaluation.scores import EVERYBODY, Score

SUBSET = 100
"""Frames of a subset for KID, at most."""

CLIP_FRAMES = 16
"""Frames that the features of FVD are of; shorter clips are left out."""


def score_sets(cases: Sequence[Case], made: Mapping[str, Sequence[Tensor]], judges: Judges) -> list[Score]:
    """Return the scores of every system over all clips together."""
    recorded = [case.frames for case in cases]
    values: list[tuple[str, str, float]] = []
    if judges.inception is not None:
        values += _score_frames(judges.inception, recorded, made)
    if judges.video is not None:
        values += _score_clips(judges.video, recorded, made)
    return [Score(system, EVERYBODY, "", metric, value) for system, metric, value in values]


def _score_frames(
    judge: FeatureJudge, recorded: Sequence[Tensor], made: Mapping[str, Sequence[Tensor]]
) -> Iterator[tuple[str, str, float]]:
    subset = min(SUBSET, sum(map(len, recorded)))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all extracted features")
        frechet = FrechetInceptionDistance(judge, reset_real_features=False)
        kernel = KernelInceptionDistance(judge, subsets=50, subset_size=subset, reset_real_features=False)
        for metric in (frechet, kernel):
            _update(metric, recorded, real=True)
        for system, clips in made.items():
            torch.manual_seed(0)  # KID draws its subsets: the same ones for every system
            for name, metric in (("FID", frechet), ("KID", kernel)):
                metric.reset()
                _update(metric, clips, real=False)
                value = metric.compute()
                yield system, named(name, judge), (value[0] if name == "KID" else value).item()


def _update(metric: FrechetInceptionDistance | KernelInceptionDistance, clips: Sequence[Tensor], real: bool) -> None:
    for frames in clips:
        metric.update(frames, real=real)


def _score_clips(
    judge: ClipJudge, recorded: Sequence[Tensor], made: Mapping[str, Sequence[Tensor]]
) -> Iterator[tuple[str, str, float]]:
    for system, clips in made.items():
        sets = [
            [judge.embed_clip(frames) for frames in some if len(frames) >= CLIP_FRAMES] for some in (clips, recorded)
        ]
        value = frechet_distance(*map(torch.cat, sets)) if all(sets) else float("nan")
        yield system, named("FVD", judge), value


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Return the Frechet distance of two Gaussians fitted to features (samples, E); NaN below two samples.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), Dowson & Landau 1982; the trace of the root is the sum of the roots of
    the eigenvalues of C1 C2.
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    means = [set_.double().mean(0).numpy() for set_ in (first, second)]
    covariances = [np.atleast_2d(np.cov(set_.double().numpy(), rowvar=False)) for set_ in (first, second)]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0))
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots.sum()
    return float(np.square(means[0] - means[1]).sum() + max(spread, 0.0))
