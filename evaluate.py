"""Evaluates a run: its clients' held-out clips, generated from portrait and sound, and scored beside anchors.

    python evaluate.py --run runs/demo
    python evaluate.py --run runs/demo --clients alice,bela --steps 3 --out runs/demo/local/few_steps

It leaves `report.md`, `metrics.csv`, figures, side-by-side videos and TensorBoard entries in one folder. They show
private people: the folder is under the run's `local/` unless told otherwise.
"""

import sys
from functools import partial
from pathlib import Path

from jsonargparse.typing import PositiveInt

from commandline import DenoisingSteps, Seed, run_command, tensorboard_command
from memory_advice import advise_plainly, advised

ALIASES = {"data.root": "root", "data_root": "root"}


def evaluate(
    run: str,
    root: str | None = None,
    clients: str | None = None,
    clips: PositiveInt = 2,
    frames: PositiveInt = 75,
    steps: DenoisingSteps = 10,
    seed: Seed = 0,
    judges: str = "assets/judges",
    out: str | None = None,
    device: str = "auto",
) -> None:
    """Evaluate a run.

    Args:
        run: Folder of a run that has ended, e.g. runs/demo.
        root: Where the clients' recordings are, if they have moved since. Also --data.root.
        clients: Names of some clients, separated by commas; all if left out.
        clips: Held-out clips of each client, at most.
        frames: Frames of each clip, at most; 25 are a second.
        steps: Denoising steps.
        seed: Of the start noise, which all systems share.
        judges: Folder of the networks that score.
        out: Folder of the report, new or of an earlier evaluation; RUN/local/evaluation if left out.
        device: auto, cpu, cuda or cuda:1.
    """
    from compute import pick_device
    from evaluation.evaluate_run import evaluate_run
    from evaluation.finished_run import demand_own_folder, open_finished
    from evaluation.judges.available import find_judges
    from lightning_modules.sampling import SamplingOptions

    folder = Path(out) if out else Path(run) / "local" / "evaluation"
    demand_own_folder(folder, Path(run))
    chosen = str(pick_device(device))
    found = find_judges(judges)
    finished = open_finished(run, root)
    names = [name.strip() for name in clients.split(",")] if clients is not None else None
    with advised(partial(advise_plainly, "Fewer `--frames` at once need less; `--device cpu` spares the GPU.")):
        report = evaluate_run(finished, found, folder, SamplingOptions(steps, seed), chosen, names, clips, frames)
    print(f"The report is {report}; see it all with: {tensorboard_command(folder)}")


if __name__ == "__main__":
    sys.exit(run_command(evaluate, ALIASES))
