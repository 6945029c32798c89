"""Scores what systems made of cases: every metric of every clip, each side of it by a function of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from tqdm import tqdm

from datamodules.demo.opening import mouth_opening
from evaluation.anchors import AUTOENCODER
from evaluation.cases import Case
from evaluation.catalogue import named
from evaluation.metrics.facial_dynamics import adfd
from evaluation.metrics.landmarks import jerk_ratio, landmark_distance
from evaluation.metrics.likeness import make_gallery, score_likeness
from evaluation.metrics.lip_sync import lip_sync
from evaluation.metrics.motion import change_error, change_ratio, warping_error
from evaluation.metrics.perceptual import perceptual_distance
from evaluation.metrics.pixels import psnr, ssim
from evaluation.metrics.regions import MOUTH, aligned_mouth_psnr, cut, lower_centre
from evaluation.metrics.tracks import best_lag, correlation, motion_energy
from evaluation.protocols import Judges
from evaluation.scores import Score
from evaluation.truth import Truth

Values = dict[str, float]
"""By metric; NaN where it does not apply, and no entry where its network is absent."""

UNKNOWN = float("nan")


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


def score_clip(frames: Tensor, truth: Truth, judges: Judges, gallery: Mapping[str, Tensor]) -> Values:
    """Return all metrics of uint8 frames `(frames, 3, height, width)` of a case.

    Raises:
        ValueError: If they are not of the case's shape.
    """
    if frames.shape != truth.case.frames.shape:
        expected, got = tuple(truth.case.frames.shape), tuple(frames.shape)
        raise ValueError(f"Frames of {truth.case.person} {truth.case.name} must be {expected}. Got {got}.")
    values = score_picture(frames, truth, judges) | score_mouth(frames, truth) | score_motion(frames, truth)
    if judges.identity is not None:
        found = score_likeness(judges.identity, frames, truth.case.person, gallery)
        values |= {named(metric, judges.identity): value for metric, value in found.items()}
    return values | score_sync(frames, truth, judges) | score_landmarks(frames, truth, judges)


def score_picture(frames: Tensor, truth: Truth, judges: Judges) -> Values:
    """Compare pixels, and features where there is a network."""
    target = truth.case.frames
    values = {"PSNR": psnr(frames, target), "SSIM": ssim(frames, target)}
    if judges.perceptual is not None:
        values[named("LPIPS", judges.perceptual)] = perceptual_distance(judges.perceptual, frames, target)
    return values


def score_mouth(frames: Tensor, truth: Truth) -> Values:
    """Compare the mouth's region, and its motion with the sound."""
    case = truth.case
    mine, target = mouth_region(frames, case.motion), mouth_region(case.frames, case.motion)
    motion = motion_energy(lower_centre(frames))
    best = best_lag(truth.sound, motion)
    knows_motion, knows_mouth = case.motion is not None, case.mouth is not None
    return {
        "mouth PSNR": psnr(mine, target),
        "mouth SSIM": ssim(mine, target),
        "aligned mouth PSNR": aligned_mouth_psnr(frames, case.frames, case.motion) if knows_motion else UNKNOWN,
        "mouth r": correlation(mouth_opening(frames), case.mouth) if knows_mouth else UNKNOWN,
        "sound r": correlation(motion, truth.sound),
        "sound r, best lag": best.r,
        "lag": float(best.lag),
    }


def mouth_region(frames: Tensor, motion: Tensor | None) -> Tensor:
    """Cut the mouth out: where the true head motion puts it, or at a fixed place where nobody knows that."""
    if motion is None:
        return lower_centre(frames)
    size = frames.shape[-1]
    return cut(frames, MOUTH.corners(motion, size), *MOUTH.pixels(size))


def score_motion(frames: Tensor, truth: Truth) -> Values:
    """Compare how frames follow each other."""
    target = truth.case.frames
    return {
        "change error": change_error(frames, target),
        "change ratio": change_ratio(frames, target),
        "change ratio to VAE": UNKNOWN if truth.decoded is None else change_ratio(frames, truth.decoded),
        "warping error": warping_error(frames, truth.flow),
    }


def score_sync(frames: Tensor, truth: Truth, judges: Judges) -> Values:
    """Ask the sync judge whether mouth and sound belong together."""
    if judges.sync is None:
        return {}
    if truth.sounds is None:
        figures = dict.fromkeys(("LSE-C", "LSE-D", "sync offset"), UNKNOWN)
    else:
        said = lip_sync(judges.sync.embed_frames(frames), truth.sounds)
        figures = {"LSE-C": said.confidence, "LSE-D": said.distance, "sync offset": said.offset}
    return {named(metric, judges.sync): value for metric, value in figures.items()}


def score_landmarks(frames: Tensor, truth: Truth, judges: Judges) -> Values:
    """Compare landmarks as one judge sees them in both clips."""
    if judges.landmarks is None or truth.points is None or truth.layout is None:
        return {}
    points = judges.landmarks.locate(frames)
    mouth = truth.layout.mouth
    dynamics = adfd(points, truth.points, truth.sound, truth.layout)
    figures = {
        "landmark jerk": jerk_ratio(points, truth.points),
        "M-LMD": landmark_distance(points[:, mouth], truth.points[:, mouth]),
        "F-LMD": landmark_distance(points, truth.points),
        "ADFD": dynamics.value,
        "ADFD spatial": dynamics.spatial,
        "ADFD temporal": dynamics.temporal,
        "ADFD audio": dynamics.audio,
        "ADFD lag": float(dynamics.lag),
    }
    return {named(metric, judges.landmarks): value for metric, value in figures.items()}
