"""From a finished run to its report: generate, score, compare, draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from datamodules.audio import sound_encoder
from evaluation.anchors import AUTOENCODER, CLEAN, NOISE, RECORDED, STATIC
from evaluation.cases import Case, client_cases
from evaluation.catalogue import LOCAL
from evaluation.clip_scores import evaluate_cases
from evaluation.finished_run import FinishedRun
from evaluation.metrics.distributions import score_sets
from evaluation.production import produce
from evaluation.protocols import Judges
from evaluation.reporting.board import show_evaluation
from evaluation.reporting.figures import draw_intervals
from evaluation.reporting.report import Findings, write_report
from evaluation.reporting.sheet import save_picture, save_sheet
from evaluation.reporting.track_figure import draw_tracks
from evaluation.reporting.videos import save_videos
from evaluation.scores import save_scores
from evaluation.systems import BASE, OWN, POSE, SHARED, SOUND, list_systems, make_anchors, nearest_strangers
from evaluation.table import Table, summarise
from lightning_modules.personalised import load_personalised
from lightning_modules.sampling import SamplingOptions
from whole_files import save_text

DRAWN = (
    *("PSNR", "mouth PSNR", "mouth r", "sound r", "LSE-C", "CSIM"),
    *("change ratio", "warping error", "landmark jerk", "M-LMD", "ADFD", "LPIPS"),
)
"""Metrics of the figure of intervals, as far as they were measured."""


def evaluate_run(
    run: FinishedRun,
    judges: Judges,
    out: Path,
    sampling: SamplingOptions,
    device: str = "cpu",
    clients: Sequence[str] | None = None,
    clips: int = 2,
    frames: int = 75,
) -> Path:
    """Evaluate a run and return the path of its report.

    Args:
        run: The run.
        judges: The networks at hand.
        out: Folder of `report.md`, `metrics.csv`, `figures/`, `videos/` and TensorBoard's events.
        sampling: How frames are generated.
        device: Where to compute.
        clients: Whose clips; everybody's if None.
        clips: Held-out clips of each client, at most.
        frames: Frames of each clip, at most.
    """
    backbone = load_personalised(run.base).to(device)
    cases = client_cases(run.data, clients, clips, frames, sound_encoder(backbone.speech))
    systems = list_systems(run, cases, nearest_strangers(run, backbone), knows_motion=backbone.shape.knows_motion)
    anchors = make_anchors(backbone, cases, out)
    del backbone  # a GPU may have no room for a second one
    production = produce(run.base, systems, cases, sampling, out, device)
    made = anchors | production.frames
    scores = evaluate_cases(cases, made, judges) + score_sets(cases, made, judges) + production.times
    table = summarise(scores)
    save_scores(out / "metrics.csv", scores)
    report = write_report(Findings(run, cases, sampling, judges, scores), table)
    shown = {system: made[system] for system in choose_shown(list(made))}
    figures = save_figures(out / "figures", cases, made, shown, table)
    save_videos(out / "videos", cases, shown)
    show_evaluation(out, table, figures, report)
    return save_text(out / "report.md", report)


def choose_shown(systems: Sequence[str]) -> list[str]:
    """Return the systems that videos and sheets show, the recorded clip first."""
    pose = POSE if f"{BASE}, {POSE}" in systems else SOUND
    wanted = [RECORDED, AUTOENCODER, *(f"{name}, {pose}" for name in (BASE, SHARED, OWN)), f"{OWN}, {SOUND}"]
    return [system for system in dict.fromkeys(wanted) if system in systems]


def save_figures(
    folder: Path,
    cases: Sequence[Case],
    made: Mapping[str, Sequence[Tensor]],
    shown: Mapping[str, Sequence[Tensor]],
    table: Table,
) -> dict[str, Path]:
    """Write the figures and return their paths by name."""
    paths = {name: folder / f"{name}.png" for name in ("sheet", "intervals", "tracks")}
    firsts = {case.person: number for number, case in reversed(list(enumerate(cases)))}
    some = sorted(firsts.values())[:4]
    rows = {STATIC: made[STATIC]} | shown
    save_sheet(paths["sheet"], {name: [clips[number] for number in some] for name, clips in rows.items()})
    metrics = [name for name in table.metrics if name.removesuffix(LOCAL) in DRAWN]
    save_picture(paths["intervals"], draw_intervals(drawable(table), metrics))
    generated = {name: clips for name, clips in shown.items() if name not in (RECORDED, CLEAN, AUTOENCODER)}
    tracks = {name: [clips[number] for number in some] for name, clips in generated.items()}
    save_picture(paths["tracks"], draw_tracks([cases[number] for number in some], tracks))
    return paths


def drawable(table: Table) -> Table:
    """Leave out what would squeeze all else into one end of a scale: noise, and the recorded clip's own PSNR."""
    systems = [system for system in table.systems if system != NOISE]
    means = {
        (system, metric): cell
        for (system, metric), cell in table.means.items()
        if not (system == RECORDED and metric.endswith("PSNR"))
    }
    return replace(table, systems=systems, means=means)
