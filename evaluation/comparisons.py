"""Which systems are held against which, on the figures that matter most."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.anchors import STATIC
from evaluation.catalogue import LOCAL
from evaluation.scores import Score
from evaluation.systems import BASE, OTHER_SOUND, OWN, POSE, SHARED, SOUND, STRANGER
from evaluation.table import Table, summarise

HEADLINES = (
    *("PSNR", "SSIM", "LPIPS", "mouth PSNR", "aligned mouth PSNR", "mouth r", "sound r", "LSE-C"),
    *("change error", "warping error", "landmark jerk", "CSIM", "M-LMD", "ADFD"),
)
"""Metrics that comparisons show; the others are in the tables and in metrics.csv."""


def list_comparisons(systems: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of systems whose difference answers a question, as far as both were scored."""
    pairs = [(f"{OWN}, {pose}", f"{other}, {pose}") for pose in (POSE, SOUND) for other in (BASE, SHARED, STRANGER)]
    pairs += [(f"{SHARED}, {pose}", f"{BASE}, {pose}") for pose in (POSE, SOUND)]
    pairs += [(f"{OWN}, {pose}", STATIC) for pose in (POSE, SOUND)]
    driven = POSE if f"{OWN}, {POSE}" in systems else SOUND
    pairs.append((f"{OWN}, {driven}", f"{OWN}, {OTHER_SOUND}"))
    return [(first, second) for first, second in pairs if first in systems and second in systems]


def compare(scores: Sequence[Score], first: str, second: str) -> Table:
    """Return the headline figures of two systems with the paired difference of the first to the second."""
    kept = [s for s in scores if s.system in (first, second) and s.metric.removesuffix(LOCAL) in HEADLINES]
    return summarise(kept, reference_system=second)
