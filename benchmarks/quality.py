"""Holds a run's evaluations against what a talking head must show: `python benchmarks/quality.py --run runs/demo`.

It reads what three commands left, and generates nothing itself:

    python evaluate.py --run runs/demo
    python evaluate.py --run runs/demo --steps 3 --out runs/demo/local/few_steps
    python benchmarks/base.py

The system in question is all that a client ends up with: base, global adapter and its own. Likeness is asked of the
held-out people's clips, too: they have no adapter, so the base makes them.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

from benchmarks.base_scores import BASE_FEW, BASE_NATURAL, BASE_POSED, BASE_SOUND
from benchmarks.report import RESULTS, Bar, bars_table, save_results
from commandline import run_command
from evaluation.anchors import AUTOENCODER, CLEAN, RECORDED, STATIC
from evaluation.catalogue import LOCAL
from evaluation.metrics.likeness import IS_OWNER
from evaluation.scores import Score, read_scores
from evaluation.statistics import Estimate, paired_difference
from evaluation.systems import BASE, OTHER_SOUND, OWN, POSE, SOUND
from evaluation.table import Table, summarise

POSED, HEARD, SHUFFLED = f"{OWN}, {POSE}", f"{OWN}, {SOUND}", f"{OWN}, {OTHER_SOUND}"
BY_BASE = (BASE_POSED, BASE_FEW, BASE_SOUND, BASE_NATURAL)
"""Kinds of frames that the base makes of held-out people."""
SHOWN = (STATIC, f"{BASE}, {POSE}", POSED, HEARD, AUTOENCODER, CLEAN)
FRAMES = ("PSNR", "SSIM", "mouth PSNR", "mouth r")
"""Means that are kept of these systems."""
LEAST_CLIPS = 100
"""Generated clips over which likeness is judged."""


def measure_quality(
    run: str = "runs/demo",
    evaluation: str | None = None,
    few_steps: str | None = None,
    base: str = str(RESULTS / "base.json"),
    out: str = str(RESULTS / "quality.json"),
) -> list[Bar]:
    """Print and return the bars.

    Args:
        run: Folder of the run.
        evaluation: Folder of its evaluation with all steps; RUN/local/evaluation if left out.
        few_steps: Folder of its evaluation with few steps; RUN/local/few_steps if left out.
        base: What `benchmarks/base.py` left.
        out: Where the figures go.
    """
    local = Path(run) / "local"
    scores = read_scores(Path(evaluation or local / "evaluation") / "metrics.csv")
    fewer = read_scores(Path(few_steps or local / "few_steps") / "metrics.csv")
    table = summarise(scores, reference_system=STATIC)
    bars = [
        *demand_picture(table),
        *demand_mouth(table),
        *demand_likeness(scores, json.loads(Path(base).read_text())),
        *demand_motion(table),
    ]
    bars += [*demand_personal(scores), *demand_few_steps(scores, fewer)]
    save_results(out, {"run": run, "bars": bars, **count(scores), "frames": average(table)})
    print(bars_table(bars))
    return bars


def count(scores: Sequence[Score]) -> dict[str, int]:
    """Return how many people and clips were evaluated."""
    clips = {(score.person, score.clip) for score in scores if score.clip}
    return {"people": len({person for person, _ in clips}), "clips": len(clips)}


def average(table: Table) -> dict[str, dict[str, float]]:
    """Return the means of what is shown, those that there are."""
    found = {system: {metric: table.mean(system, metric) for metric in FRAMES} for system in SHOWN}
    return {system: {metric: at.mean for metric, at in row.items() if at is not None} for system, row in found.items()}


def demand_picture(table: Table) -> list[Bar]:
    """Ask for whole frames that are near the recorded ones, and nearer than a still picture."""
    return [
        Bar.at_least("PSNR in dB, pose given", table.means[POSED, "PSNR"].mean, 27),
        Bar.at_least("SSIM, pose given", table.means[POSED, "SSIM"].mean, 0.92),
        Bar.at_least("PSNR above the static copy in dB, pose given", table.differences[POSED, "PSNR"].mean, 3),
    ]


def demand_mouth(table: Table) -> list[Bar]:
    """Ask for mouths that open as the true ones do, and not as another's sound would have them."""
    above = table.differences[POSED, "mouth PSNR"].mean
    bars = [Bar.at_least("mouth PSNR above the static copy in dB, pose given", above, 6)]
    bars += [Bar.at_least(f"mouth r, {name}", table.means[name, "mouth r"].mean, 0.9) for name in (POSED, HEARD)]
    return bars


def demand_likeness(scores: Sequence[Score], base: dict[str, Any]) -> list[Bar]:
    """Ask that nearly every generated clip is nearest to its owner, by a judge that is right about recorded ones.

    Args:
        scores: Of the clients' clips.
        base: The report of the held-out people's.
    """
    nearest = [score for score in scores if score.metric.removesuffix(LOCAL) == IS_OWNER]
    if not nearest:
        return [Bar.not_measured("generated clips nearest to their owner", ">= 0.98", "no judge of faces")]
    made = [score.value for score in nearest if score.system in (POSED, HEARD, SHUFFLED)]
    held_out = base["options"]["people"] * base["options"]["clips"]
    shares = [base["frames"][kind][IS_OWNER]["mean"] for kind in BY_BASE]
    count = len(made) + held_out * len(shares)
    bars = [Bar.at_least("generated clips nearest to their owner", (sum(made) + held_out * sum(shares)) / count, 0.98)]
    bars.append(Bar.at_least("of so many clips", count, LEAST_CLIPS))
    for name, system in (("recorded clips", RECORDED), ("static copies", STATIC)):
        own = [score.value for score in nearest if score.system == system]
        bars.append(Bar.at_least(f"{name} nearest to their owner", sum(own) / len(own), 0.98))
    return bars


def demand_motion(table: Table) -> list[Bar]:
    """Ask for as much change from frame to frame as there truly is, at the right places."""
    ratio = table.means[POSED, "change ratio to VAE"].mean
    error, still = (table.means[name, "change error"].mean for name in (POSED, STATIC))
    return [
        Bar.at_least("frame-to-frame change, relative to the truth through the VAE", ratio, 0.8),
        Bar.at_most("the same", ratio, 1.2),
        Bar.at_most("error of the change, levels of 255, against the static copy's", error, still),
    ]


def demand_personal(scores: Sequence[Score]) -> list[Bar]:
    """Ask that likeness and mouth gain by the client's adapters, beyond doubt."""
    bars = []
    for metric in ("CSIM", "mouth PSNR"):
        gain = difference(scores, f"{OWN}, {POSE}", scores, f"{BASE}, {POSE}", metric)
        sure = gain.low if gain.t_low is None or gain.low is None else min(gain.low, gain.t_low)
        lower = float("nan") if sure is None else sure
        bars.append(Bar.at_least(f"{metric} above the base's, lower end of the interval", lower, 0))
    return bars


def demand_few_steps(scores: Sequence[Score], fewer: Sequence[Score]) -> list[Bar]:
    """Ask that few steps lose little and save time."""
    lost = {metric: difference(scores, POSED, fewer, POSED, metric).mean for metric in ("PSNR", "mouth r")}
    slow, fast = (summarise(rows).means[POSED, "seconds per frame"].mean for rows in (scores, fewer))
    return [
        Bar.at_most("few steps: PSNR lost in dB", lost["PSNR"], 0.5),
        Bar.at_most("few steps: mouth r lost", lost["mouth r"], 0.03),
        Bar.at_least("few steps: times faster", slow / fast, 2.3),
    ]


def difference(first: Sequence[Score], one: str, second: Sequence[Score], other: str, metric: str) -> Estimate:
    """Return how much a metric of one system differs from another's, over the clips that both made."""
    rows = []
    for scores, system in ((first, one), (second, other)):
        named = [s for s in scores if s.system == system and s.metric.removesuffix(LOCAL) == metric]
        rows.append({(score.person, score.clip): score.value for score in named})
    shared = sorted(rows[0].keys() & rows[1].keys())
    return paired_difference(
        [rows[0][key] for key in shared], [rows[1][key] for key in shared], [person for person, _ in shared]
    )


if __name__ == "__main__":
    sys.exit(run_command(measure_quality))
