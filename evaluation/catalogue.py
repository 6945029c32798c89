"""Every metric of a report: its group, which way is better, what judge it needs, and what it does not mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaluation.protocols import Judge, Judges

LOCAL = "-local"
"""Ends the name of a metric by a network of our own where the accepted one is absent."""

SETS = "sets of frames"
"""The group of metrics that compare all clips at once."""


@dataclass(frozen=True)
class Metric:
    """What a report says of one metric."""

    name: str
    group: str
    better: Literal["higher", "lower", "nearer 1", "nearer 0"]
    judge: Literal["identity", "sync", "landmarks", "perceptual", "inception", "video"] | None
    digits: int
    meaning: str


# fmt: off
METRICS = (
    Metric("PSNR", "picture", "higher", None, 2, "dB against the decoded clip; rewards blur and standing still"),
    Metric("SSIM", "picture", "higher", None, 3, "Gaussian window of 11 pixels: a sixth of a 64-pixel frame"),
    Metric("LPIPS", "picture", "lower", "perceptual", 3, "distance of a network's features, frame by frame"),
    Metric("FID", SETS, "lower", "inception", 3, "Frechet distance of frames; biased upwards below 2,000 of them"),
    Metric("KID", SETS, "lower", "inception", 4, "kernel distance of frames, unbiased"),
    Metric("FVD", SETS, "lower", "video", 3, "Frechet distance of pieces of 16 frames; biased upwards"),
    Metric("mouth PSNR", "mouth", "higher", None, 2, "dB in a box: at a demo person's mouth, else low in the middle"),
    Metric("mouth SSIM", "mouth", "higher", None, 3, "in the same box"),
    Metric("aligned mouth PSNR", "mouth", "higher", None, 2, "demo people: dB with heads moved to their true place"),
    Metric("mouth r", "mouth", "higher", None, 2, "demo people: opening read off the frames against the true one"),
    Metric("sound r", "mouth", "higher", None, 2, "motion of the lower face against loudness; see recorded clip"),
    Metric("sound r, best lag", "mouth", "higher", None, 2, "the same at the best of 11 lags: above 0 by chance"),
    Metric("lag", "mouth", "nearer 0", None, 1, "that lag in frames; positive where motion follows sound"),
    Metric("LSE-C", "mouth", "higher", "sync", 3, "a SyncNet's confidence that mouth and sound belong together"),
    Metric("LSE-D", "mouth", "lower", "sync", 3, "its distance of mouth and sound at the best offset"),
    Metric("sync offset", "mouth", "nearer 0", "sync", 1, "that offset in frames; positive where the picture follows"),
    Metric("change error", "motion", "lower", None, 2, "L1 of frame-to-frame changes to the true ones, levels of 255"),
    Metric("change ratio", "motion", "nearer 1", None, 2, "how much frames change, relative to the recorded ones"),
    Metric("change ratio to VAE", "motion", "nearer 1", None, 2, "the same, relative to those through the VAE"),
    Metric("warping error", "motion", "lower", None, 2, "1,000 x squared error along true flow; blind to stillness"),
    Metric("landmark jerk", "motion", "nearer 1", "landmarks", 2, "second difference of points, relative to the truth"),
    Metric("CSIM", "identity", "higher", "identity", 3, "cosine to the reference; the static copy is the reference"),
    Metric("CSIM, nearest other", "identity", "lower", "identity", 3, "cosine to whoever else is nearest"),
    Metric("nearest is the owner", "identity", "higher", "identity", 2, "share of clips; recorded: its accuracy"),
    Metric("M-LMD", "landmarks", "lower", "landmarks", 2, "distance of mouth landmarks, pixels of 256"),
    Metric("F-LMD", "landmarks", "lower", "landmarks", 2, "distance of all landmarks, pixels of 256"),
    Metric("ADFD", "landmarks", "higher", "landmarks", 3, "facial dynamics, by our reading of a name without formula"),
    Metric("ADFD spatial", "landmarks", "higher", "landmarks", 3, "its part of shape"),
    Metric("ADFD temporal", "landmarks", "higher", "landmarks", 3, "its part of movement; 0.5 stands still"),
    Metric("ADFD audio", "landmarks", "higher", "landmarks", 3, "its part of sound, relative to the recorded clip"),
    Metric("ADFD lag", "landmarks", "nearer 0", "landmarks", 1, "frames by which the mouth follows the sound"),
    Metric("seconds per frame", "time", "lower", None, 3, "of generation, on the machine that ran the evaluation"),
)
# fmt: on


def find_metric(name: str) -> Metric:
    """Return what is known of a metric by the name it was scored under.

    Raises:
        KeyError: If nothing is.
    """
    return {metric.name: metric for metric in METRICS}[name.removesuffix(LOCAL)]


def named(metric: str, judge: Judge) -> str:
    """Return a metric's name: a stand-in of our own never goes under the name of the accepted network's."""
    return f"{metric}{LOCAL}" if judge.local else metric


def unmeasured(judges: Judges) -> list[Metric]:
    """Return the metrics whose network is not there."""
    return [metric for metric in METRICS if metric.judge and getattr(judges, metric.judge, None) is None]
