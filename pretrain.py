"""Stage 0: train the base model on public people who agreed to it.

    python pretrain.py                                                             # the demo people -> assets/base
    python pretrain.py --data_root my_public_people --crop auto --out assets/mine  # any folder of people
    python pretrain.py --init assets/sd15 ...                                      # an assembled base: docs/backbones

The same command continues where an interrupted one stopped; train.py takes it from there.
"""

import math
import os
import sys
from functools import partial
from pathlib import Path
from typing import Literal

from commandline import Accelerator, Seed, TrainingPrecision, run_command
from datamodules.demo.folders import HELD_OUT, PUBLIC, fill_demo_folder
from datamodules.first_device import is_first_device, speak_once
from lightning_modules.args import Steps
from memory_advice import advise_plainly, advised

LONGEST_WINDOW = 24
"""Frames: a clip may last one second."""

ADVICE = (
    "Smaller frames need less (`--size`); more `--devices` share a batch. The same command goes on where it stopped."
)


def pretrain(
    steps: Steps,
    data_root: str = PUBLIC,
    held_out: str | None = None,
    out: str = "assets/base",
    work: str = "runs/pretrain",
    init: str | None = None,
    people: int = 600,
    size: int | None = None,
    window: int | None = None,
    crop: Literal["auto", "face", "none"] = "none",
    seed: Seed = 0,
    devices: int = 1,
    accelerator: Accelerator = "auto",
    precision: TrainingPrecision = "32-true",
    learning_rate: float = 5e-4,
) -> None:
    """Train autoencoder, face encoder, pose reader, mover and denoiser one after the other and write the base model.

    Args:
        steps: How long each part is trained.
        data_root: Folder of public people, one folder of clips each; the demo people are made if it is data/public.
        held_out: Folder of public people that nothing is trained on, for the scores in the model card; nothing is
            scored if not given, but for the demo people, who have data/held_out.
        out: Where the base model goes, in diffusers layout, float16.
        work: Where read clips, checkpoints and losses go; one training's.
        init: Start from this base model instead of from scratch.
        people: How many demo people to make.
        size: Height and width of the frames, pixels; if not given, those of `--init`, or 64.
        window: Frames that the denoiser sees at once; if not given, those of `--init`, or 8.
        crop: How faces are found; demo people fill the frame.
        seed: Of every draw.
        devices: Processes that share each batch; on a CPU with 2 cores, 2 are faster than one with two threads.
        accelerator: Where to compute.
        precision: Of the arithmetic; the weights are stored in float16 in any case.
        learning_rate: Of the denoiser; one that others trained has to be moved with care, 1e-5.
    """
    import torch

    from compute import make_fabric
    from datamodules.public import PublicPeople
    from datamodules.reading.frames import load_people
    from lightning_modules.base_folder import load_base, new_base
    from lightning_modules.model_folder import BASE_FILE, demand_replaceable
    from lightning_modules.parts import BackboneShape
    from lightning_modules.pretraining.fitting import TaskFitter
    from lightning_modules.pretraining.model_card import add_history, read_history
    from lightning_modules.pretraining.small import SMALL
    from stage_zero import demand_fitting, describe_training, fit_parts, publish_base

    is_demo = data_root == PUBLIC
    held_out = held_out or (HELD_OUT if is_demo else None)
    demand_options(None if is_demo else held_out, size, window, devices, learning_rate)
    demand_replaceable(out, BASE_FILE)
    if accelerator == "cpu" and devices > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
    fabric = make_fabric(accelerator, devices, "ddp" if devices > 1 else "auto", precision)
    speak_once()
    torch.manual_seed(seed)
    new = BackboneShape(size or BackboneShape.size, window or BackboneShape.window)
    backbone = load_base(init) if init else new_base(new, SMALL)
    size, window = size or backbone.shape.size, window or backbone.shape.window
    history = read_history(Path(init)) if init else {}
    demand_fitting(backbone, steps, size, window)
    if is_demo and is_first_device():
        fill_demo_folder(PUBLIC, processes=2, people=people)
        fill_demo_folder(HELD_OUT)
    public = PublicPeople(load_people(data_root, size, crop, cache_dir=f"{work}/clips"))
    strangers = load_people(held_out, size, crop) if held_out and is_first_device() else {}
    fabric.launch()  # starts the other devices, which find the clips read
    options = {"devices": devices, "precision": precision, "learning_rate": learning_rate, "window": window}
    fitter = TaskFitter(fabric, Path(work), seed, describe_training(public, init, steps, **options))
    chosen = {"window": window, "from_scratch": init is None, "learning_rate": learning_rate}
    with advised(partial(advise_plainly, ADVICE)):
        fit_parts(fitter, backbone, public, steps, devices, **chosen)

    if not fabric.is_global_zero:
        return
    data = {"folder": data_root, "people": len(public.people), "clips": len(public.clips), "size": size}
    publish_base(backbone, out, data, add_history(fitter.log, history), strangers, is_demo=is_demo)
    print(f"The base model is in {out}; {out}/README.md says what it can do.")


def demand_options(
    held_out: str | None, size: int | None, window: int | None, devices: int, learning_rate: float
) -> None:
    """Raise ValueError, before hours of training, if an option is out of range or would be refused at their end."""
    from lightning_modules.pretraining.tasks import BATCHES

    smallest = min(BATCHES.values(), key=lambda batch: batch.size)
    if held_out is not None and not Path(held_out).is_dir():
        raise ValueError(f"`--held_out` must be a folder of people. Got {held_out}, which is none. Leave it out.")
    if size is not None and (size < 16 or size % 8):
        raise ValueError(f"`--size` must be a multiple of 8 pixels, 16 at least. Got {size}.")
    if window is not None and not 1 <= window <= LONGEST_WINDOW:
        raise ValueError(f"`--window` must lie in 1 to {LONGEST_WINDOW} frames. Got {window}.")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"`--learning_rate` must be above 0. Got {learning_rate}.")
    if devices < 1 or smallest.size % devices:
        raise ValueError(f"`--devices` share batches of {smallest}, so they must be 1, 2 or 4. Got {devices}.")


if __name__ == "__main__":
    sys.exit(run_command(pretrain))
