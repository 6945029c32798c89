"""Scores a run on real people: `python benchmarks/real_people.py --run runs/real`.

Each client's held-out clips are generated from their sound and the first frame of a clip that was trained on, by the
base alone and with the global and the client's own identity adapter. The way there, with `public/` and `clients/` each
holding a folder of recordings per person:

    python pretrain.py --data_root public --crop auto --out assets/real --work runs/real_base
    python train.py --module.base assets/real --data.root clients --privacy.allow_tiny_cohort true --out_dir runs/real
    python benchmarks/real_people.py --run runs/real

Frames are compared as uint8 tensors with the frames decoded from the recording. The mouth's region is a fixed box of
the square face crop. Nobody knows a real mouth's opening, so sound is correlated with how much the mouth's region
moves; what the recording itself reaches stands beside it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

import torch
from torch import Tensor

from benchmarks.report import RESULTS, markdown_table, save_results
from benchmarks.runs import Run, open_run
from commandline import run_command
from datamodules.audio import sound_encoder
from datamodules.clips import Clip
from evaluation.anchors import NOISE, RECORDED, STATIC
from evaluation.metrics.pixels import psnr, ssim
from evaluation.metrics.regions import lower_centre
from evaluation.metrics.tracks import best_lag, correlation, motion_energy, sound_energy
from evaluation.systems import BASE, OWN, SHARED
from lightning_modules.personalised import load_personalised
from lightning_modules.sampling import SamplingOptions, animate

Scores = dict[str, float]
"""By metric."""


def measure_real_people(
    run: str = "runs/real",
    root: str | None = None,
    people: list[str] | None = None,
    clips: int = 1,
    frames: int = 75,
    steps: int = 10,
    seed: int = 0,
    out: str = str(RESULTS / "real_people.json"),
) -> None:
    """Score what a run generates from its clients' held-out sound, beside noise and a static copy.

    Args:
        run: Folder of the run.
        root: Where the clients' recordings are, if they have moved since.
        people: Some of the clients; all if not given.
        clips: Held-out clips of each client.
        frames: Frames of each clip, at most.
        steps: Denoising steps.
        seed: Of the start noise, which all models share.
        out: Where the figures go.
    """
    options = SamplingOptions(steps, seed)
    opened = open_run(run, *([f"--data.root={root}"] if root else []))
    data, report = opened.data, {}
    for person in people or data.clients:
        held_out = data.splits(person)["test"][:clips]
        if not held_out:
            print(f"{person} has no held-out clip and is not scored.", file=sys.stderr)
            continue
        portrait = data.splits(person)["train"][0].frames[0]
        made = [generate_all(opened, person, portrait, clip, frames, options) for clip in held_out]
        report[person] = {
            kind: average([score(clip, kinds[kind]) for clip, kinds in zip(held_out, made, strict=True)])
            for kind in made[0]
        }
    save_results(out, {"run": run, "clips": clips, "frames": frames, "steps": steps, "seed": seed, "people": report})
    print(describe(report))


def generate_all(
    run: Run, person: str, portrait: Tensor, clip: Clip, frames: int, options: SamplingOptions
) -> dict[str, Tensor]:
    """Return a clip's frames by kind, uint8 (frames, 3, height, width), each of the same length."""
    recorded = clip.frames[:frames]
    sound = sound_encoder(run.module.backbone.speech)(clip.waveform, len(clip.frames))[:frames]
    adapters = {BASE: None, SHARED: run.folder / "global", OWN: run.folder / "clients" / person}
    noise = torch.randint(256, recorded.shape, generator=torch.Generator().manual_seed(options.seed)).to(torch.uint8)
    generated = {
        name: animate(load_personalised(run.module.hparams.base, folder), portrait, sound, options)
        for name, folder in adapters.items()
    }
    return {NOISE: noise, STATIC: portrait.expand_as(recorded), **generated, RECORDED: recorded}


def score(clip: Clip, frames: Tensor) -> Scores:
    """Return the metrics of some frames of a clip; `lag` is in frames, positive where the mouth follows the sound."""
    target, mouth = clip.frames[: len(frames)], lower_centre(frames)
    sound, motion = sound_energy(clip.waveform, len(frames)), motion_energy(mouth)
    best = best_lag(sound, motion)
    return {
        "PSNR": psnr(frames, target),
        "SSIM": ssim(frames, target),
        "mouth PSNR": psnr(mouth, lower_centre(target)),
        "sound-to-motion r": correlation(motion, sound),
        "best r": best.r,
        "lag": float(best.lag),
    }


def average(scores: Sequence[Scores]) -> Scores:
    """Return the mean of each metric."""
    return {name: sum(one[name] for one in scores) / len(scores) for name in scores[0]}


def describe(report: dict[str, dict[str, Scores]]) -> str:
    """Return a Markdown table, a row per person and kind of frames."""
    rows = [[person, kind, *scores.values()] for person, kinds in report.items() for kind, scores in kinds.items()]
    metrics = next(iter(next(iter(report.values())).values())) if report else {}
    return markdown_table(["person", "frames", *metrics], rows)


if __name__ == "__main__":
    sys.exit(run_command(measure_real_people))
