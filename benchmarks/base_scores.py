"""What the figures of a base model are, and what they must be."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmarks.report import Bar, bars_table, markdown_table
from datamodules.clips import Clip
from datamodules.demo.opening import mouth_opening
from evaluation.anchors import STATIC, through_autoencoder
from evaluation.cases import Case
from evaluation.clip_scores import mouth_region
from evaluation.metrics.likeness import make_gallery, score_likeness
from evaluation.metrics.pixels import psnr, ssim
from evaluation.metrics.regions import aligned_mouth_psnr
from evaluation.metrics.tracks import correlation
from evaluation.protocols import FaceJudge
from evaluation.statistics import Estimate, estimate
from lightning_modules.backbone import Backbone

FEW_STEPS = 3
BASE_POSED, BASE_FEW = "generated, pose given", f"generated, pose given, {FEW_STEPS} steps"
BASE_SOUND, BASE_NATURAL = "generated, sound, motion left to the model", "generated, sound and a natural motion"
"""Kinds of frames that the base makes."""
PICTURE, OTHER, CHANCE = (
    "generated against the picture's",
    "generated against the sound's",
    "the sound's against the picture's",
)

Scores = dict[str, Estimate]
"""By metric."""


@dataclass(frozen=True)
class Figures:
    """All that is measured of a base model."""

    autoencoder: dict[str, float]
    """PSNR by person, and the mean."""
    frames: dict[str, Scores]
    """By kind of frames."""
    shuffled: Scores
    """Correlations of openings where the sound is another person's."""


def score_frames(judge: FaceJudge | None, cases: list[Case], made: list[Tensor]) -> Scores:
    """Return the mean of each metric over the cases; likeness is left out where there is no judge of faces."""
    scores = [score_case(case, frames) for case, frames in zip(cases, made, strict=True)]
    if judge is not None:
        gallery = make_gallery(judge, cases)
        for own, case, frames in zip(scores, cases, made, strict=True):
            own |= score_likeness(judge, frames, case.person, gallery)
    people = [case.person for case in cases]
    return {name: estimate([own[name] for own in scores], people) for name in scores[0]}


def score_case(case: Case, frames: Tensor) -> dict[str, float]:
    """Return what pixels and the mouth say of frames made for a case."""
    return {
        "PSNR": psnr(frames, case.frames),
        "SSIM": ssim(frames, case.frames),
        "mouth PSNR": psnr(*(mouth_region(some, case.motion) for some in (frames, case.frames))),
        "aligned mouth PSNR": aligned_mouth_psnr(frames, case.frames, case.motion),
        "mouth r": correlation(mouth_opening(frames), case.mouth),
    }


def score_autoencoder(backbone: Backbone, people: dict[str, list[Clip]]) -> dict[str, float]:
    """Return the PSNR through the autoencoder over all frames of each person's clips, and their mean."""
    scores = {}
    for person, clips in people.items():
        values = [psnr(through_autoencoder(backbone, clip.frames), clip.frames) for clip in clips]
        scores[person] = sum(values) / len(values)
    return {"mean": sum(scores.values()) / len(scores)} | scores


def score_shuffled(pairs: list[tuple[Case, Case]], made: list[Tensor]) -> Scores:
    """Return how mouths made from another's sound follow the picture's true opening, and the sound's own.

    Args:
        pairs: Whose picture and motion, and whose sound.
        made: The frames generated from each pair.
    """
    people = [case.person for case, _ in pairs]
    read = [mouth_opening(frames) for frames in made]
    tracks = {
        PICTURE: [correlation(opening, case.mouth) for opening, (case, _) in zip(read, pairs, strict=True)],
        OTHER: [correlation(opening, sound.mouth) for opening, (_, sound) in zip(read, pairs, strict=True)],
        CHANCE: [correlation(sound.mouth, case.mouth) for case, sound in pairs],
    }
    return {name: estimate(values, people) for name, values in tracks.items()}


def demand(figures: Figures) -> list[Bar]:
    """Compare with what a base model must show."""
    posed, static = figures.frames[BASE_POSED], figures.frames[STATIC]
    return [
        Bar.at_least("VAE, PSNR in dB", figures.autoencoder["mean"], 30.0),
        Bar.at_least("whole frame, PSNR in dB, pose given", posed["PSNR"].mean, static["PSNR"].mean),
        Bar.at_least("mouth region, PSNR in dB, pose given", posed["mouth PSNR"].mean, static["mouth PSNR"].mean + 3),
        Bar.at_least("mouth-opening r, pose given", posed["mouth r"].mean, 0.8),
        Bar.at_most("shuffled sound, r", figures.shuffled[PICTURE].mean, figures.shuffled[CHANCE].mean + 0.1),
    ]


def describe(figures: Figures, bars: list[Bar]) -> str:
    """Return all tables as Markdown; brackets hold 95 % intervals over people."""
    rows = [[kind, *scores.values()] for kind, scores in figures.frames.items()]
    return "\n\n".join(
        [
            markdown_table(["frames", *figures.frames[BASE_POSED]], rows),
            markdown_table(["opening, with another person's sound", "r"], list(figures.shuffled.items())),
            markdown_table(["through the VAE, all frames", "PSNR"], list(figures.autoencoder.items())),
            bars_table(bars),
        ]
    )
