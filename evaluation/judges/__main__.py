"""Trains the judges on public people and scores them on held-out ones.

    python -m evaluation.judges        # the demo people -> assets/judges

The same command continues where an interrupted one stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from commandline import Accelerator, Seed, run_command
from datamodules.demo.folders import HELD_OUT, PUBLIC, fill_demo_folder

SIZE = 64
"""Pixels per side of the frames that judges learn from."""


def train_judges(
    data_root: str = PUBLIC,
    held_out: str = HELD_OUT,
    out: str = "assets/judges",
    work: str = "runs/judges",
    base: str | None = "assets/base",
    people: int = 600,
    landmark_steps: int = 600,
    sync_steps: int = 800,
    identity_steps: int = 1500,
    seed: Seed = 1,
    accelerator: Accelerator = "auto",
) -> None:
    """Train the three judges one after the other, write them, and measure what was written.

    Args:
        data_root: Folder of public demo people (of others nobody knows the true points); made if it is data/public.
        held_out: Folder of demo people that nothing is trained on; made if it is data/held_out.
        out: Where the judges go, in diffusers layout, float16.
        work: Where checkpoints and losses go.
        base: Base model through whose autoencoder the judges are scored as well; null leaves that out.
        people: How many demo people to make.
        landmark_steps: Optimizer steps of the landmark judge, 32 frames each.
        sync_steps: Optimizer steps of the SyncNet, 8 clips with 8 moments each.
        identity_steps: Optimizer steps of the identity judge, 64 frames each.
        seed: Of the first weights and of every draw; the base model's is 0.
        accelerator: Where to compute.
    """
    import torch

    from compute import make_fabric
    from datamodules.encoding_cache import hash_clips
    from datamodules.reading.frames import load_people
    from evaluation.judges.card import describe_people
    from evaluation.judges.publishing import MARK, publish_judges
    from evaluation.judges.training import fit_judges
    from lightning_modules.base_folder import load_base
    from lightning_modules.model_folder import demand_replaceable
    from lightning_modules.pretraining.fitting import TaskFitter

    demand_replaceable(out, MARK)
    fabric = make_fabric(accelerator, 1, "auto", "32-true")
    if data_root == PUBLIC:
        fill_demo_folder(PUBLIC, processes=2, people=people)
    if held_out == HELD_OUT:
        fill_demo_folder(HELD_OUT, processes=2)
    public, held_out_people = load_people(data_root, SIZE, "none"), load_people(held_out, SIZE, "none")
    backbone = load_base(base) if base else None
    torch.manual_seed(seed)
    steps = {"landmarks": landmark_steps, "sync": sync_steps, "identity": identity_steps}
    settings = {"data": hash_clips(clip for clips in public.values() for clip in clips), "steps": steps}
    fitter = TaskFitter(fabric, Path(work), seed, settings)
    networks = fit_judges(fitter, public, steps)

    data = describe_people(data_root, public, held_out_people) | {"seed": seed}
    publish_judges(networks, Path(out), data, fitter.log, held_out_people, backbone)
    print(f"The judges are in {out}; {out}/README.md says how far they can be trusted.")


if __name__ == "__main__":
    sys.exit(run_command(train_judges))
