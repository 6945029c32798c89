"""Scores the base model on the ten held-out demo people: `python benchmarks/base.py --base assets/base`.

Each clip's middle 25 frames are generated from its sound and the first frame of another clip of the person, once with
the true head motion given, once from sound alone and once with a motion drawn around the portrait's pose, from the same
start noise. Frames are compared before encoding, as uint8 tensors, with the frames decoded from the clip. The mouth's
box is placed by the true head motion (`evaluation.metrics.regions`), its opening read off the frames (`demo.opening`);
likeness is seen by a judge that nothing was trained against.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

from torch import Tensor
from tqdm import tqdm

from benchmarks.base_scores import (
    BASE_FEW,
    BASE_NATURAL,
    BASE_POSED,
    BASE_SOUND,
    FEW_STEPS,
    Figures,
    demand,
    describe,
    score_autoencoder,
    score_frames,
    score_shuffled,
)
from benchmarks.drawn_cases import make_cases, read_held_out, shuffled_pairs
from benchmarks.report import RESULTS, Bar, save_results
from commandline import run_command
from datamodules.audio import sound_encoder
from datamodules.demo.folders import HELD_OUT
from evaluation.anchors import AUTOENCODER, RECORDED, STATIC
from evaluation.cases import Case
from evaluation.judges.available import find_judges
from evaluation.reporting.sheet import save_sheet
from evaluation.systems import make_anchors
from lightning_modules.backbone import Backbone
from lightning_modules.base_folder import load_base
from lightning_modules.model_folder import fingerprint
from lightning_modules.natural_motion import choose_motion
from lightning_modules.sampling import SamplingOptions, animate

Generate = Callable[..., Tensor]


def measure_base(
    base: str = "assets/base",
    people: int = 10,
    clips: int = 4,
    frames: int = 25,
    steps: int = 10,
    pairs: int = 50,
    guidance_scale: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    root: str = HELD_OUT,
    judges: str | None = "assets/judges",
    out: str = str(RESULTS / "base.json"),
) -> list[Bar]:
    """Measure a base model, print the tables and return the bars.

    Args:
        base: Folder of the base model.
        people: Held-out people.
        clips: Clips of each person.
        frames: Frames generated of each clip.
        steps: Denoising steps.
        pairs: Clips generated with another person's sound.
        guidance_scale: Above 1 follows the sound more.
        seed: Of the start noise, which all ways of generating a clip share.
        device: Where to compute.
        root: Where the held-out people are, or are made.
        judges: Folder of the networks that only score; null leaves likeness out.
        out: Where the figures go; a contact sheet goes beside it.
    """
    began = time.monotonic()
    backbone = load_base(base).to(device)
    everybody = read_held_out(root, people, clips, backbone.shape.size)
    cases = make_cases(everybody, frames, sound_encoder(backbone.speech))
    chosen = list(shuffled_pairs(cases, pairs))
    seeds = {case.clip.path: seed + number for number, case in enumerate(cases)}

    def generate(case: Case, sound: Case, motion: Tensor | None, steps: int = steps) -> Tensor:
        options = SamplingOptions(steps, seeds[case.clip.path], guidance_scale=guidance_scale)
        return animate(backbone, case.reference, sound.sound, options, motion=motion)

    def move(case: Case) -> Tensor | None:
        return choose_motion(backbone, case.reference, len(case.frames), "auto", seed=seeds[case.clip.path])

    made = make_frames(backbone, cases, generate, move, Path(out).parent)
    shuffled = [generate(*pair, pair[0].motion) for pair in tqdm(chosen, "shuffled sound", mininterval=5)]
    judge = find_judges(judges).identity if judges else None
    figures = Figures(
        autoencoder=score_autoencoder(backbone, everybody),
        frames={kind: score_frames(judge, cases, kept) for kind, kept in made.items()},
        shuffled=score_shuffled(chosen, shuffled),
    )
    bars = demand(figures)
    options = {"people": people, "clips": clips, "frames": frames, "steps": steps, "pairs": pairs, "seed": seed}
    report = {"base": fingerprint(base), "options": options | {"guidance_scale": guidance_scale}, "bars": bars}
    save_results(out, report | vars(figures) | {"seconds": round(time.monotonic() - began)})
    draw_sheet(Path(out).with_suffix(".png"), cases, made, shuffled)
    print(describe(figures, bars))
    return bars


def make_frames(
    backbone: Backbone,
    cases: list[Case],
    generate: Generate,
    move: Callable[[Case], Tensor | None],
    scratch: Path,
) -> dict[str, list[Tensor]]:
    """Return the frames of each case by kind: the anchors, and what the model generates."""
    return {
        **{kind: made for kind, made in make_anchors(backbone, cases, scratch).items() if kind != RECORDED},
        BASE_POSED: [generate(case, case, case.motion) for case in tqdm(cases, BASE_POSED, mininterval=5)],
        BASE_FEW: [generate(case, case, case.motion, steps=FEW_STEPS) for case in tqdm(cases, BASE_FEW, mininterval=5)],
        BASE_SOUND: [generate(case, case, None) for case in tqdm(cases, BASE_SOUND, mininterval=5)],
        BASE_NATURAL: [generate(case, case, move(case)) for case in tqdm(cases, BASE_NATURAL, mininterval=5)],
    }


def draw_sheet(path: Path, cases: list[Case], made: dict[str, list[Tensor]], shuffled: list[Tensor]) -> None:
    """Show the first clip of two people in every kind of frames."""
    people = [case.person for case in cases]
    shown = [at for at in sorted({0, people.index(people[len(people) // 2])}) if at < len(shuffled)]
    rows = {
        "reference": made[STATIC],
        "recorded": [case.frames for case in cases],
        "VAE": made[AUTOENCODER],
        "pose given": made[BASE_POSED],
        "sound, motion left": made[BASE_SOUND],
        "natural motion": made[BASE_NATURAL],
        "other sound": shuffled,  # its first pairs go through all cases
    }
    save_sheet(path, {name: [kind[at] for at in shown] for name, kind in rows.items()})


if __name__ == "__main__":
    sys.exit(run_command(measure_base))
