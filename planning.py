"""What a run will need, said before anything is loaded: `python train.py --plan`."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from jsonargparse import Namespace

from datamodules.clips import FPS
from datamodules.reading.layouts import find_recordings
from lightning_modules.args import MemoryArgs
from lightning_modules.efficiency.step_plan import StepPlan, plan_step

HEAD = "lightning_modules.talking_head.TalkingHead"
AUTOCAST = {"32-true": None, "16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
ATTAINED = 0.2
"""Share of a matrix product's rate that a training step attains: 0.19 for the small model on one CPU core. What GPUs
attain is not measured yet."""


@dataclass(frozen=True)
class RunPlan:
    """What each device needs, and how long a round takes."""

    step: StepPlan
    other: StepPlan
    """The same with gradient checkpointing if that is off, without it if it is on."""
    checkpointing: bool
    minute: int
    """Bytes of a minute of clips and their encodings."""
    kept: bool
    """Whether these lie on disk, mapped into memory, instead of in memory."""
    round_seconds: float | None
    """Of the training steps alone; None where the device is not at hand, or nobody knows how many clients there are."""

    def __str__(self) -> str:
        """Return the plan as lines."""
        own, other = self.step.step, self.other.step
        word = "without" if self.checkpointing else "with"
        hosted = f", and {_size(self.step.on_host)} in host memory" if self.step.on_host else ""
        where = "on disk" if self.kept else "in host memory; on disk with `--data.cache_dir FOLDER`"
        took = "unknown here" if self.round_seconds is None else f"about {self.round_seconds:.0f} s"
        rows = [
            ("frozen weights", f"{_size(self.step.frozen)}{hosted}"),
            ("adapters and optimizer state", f"{_size(12 * self.step.trained)} of {self.step.trained:,} parameters"),
            ("activations", f"{_size(own.held)} ({word} gradient checkpointing {_size(other.held)})"),
            ("peak of a training step", f"{_size(self.step.peak)} ({word} it {_size(self.other.peak)})"),
            ("a minute of recordings", f"{_size(self.minute)} {where}"),
            ("work of a training step", f"{own.flops / 1e12:.3g} TFLOP"),
            ("training steps of a round", took),
        ]
        lines = [f"{name:<30}{value}" for name, value in rows]
        return "\n".join(["Each device needs, beside its CUDA context and workspaces (about 1 GB):", *lines])


def plan_run(chosen: Namespace) -> RunPlan:
    """Plan a run from its parsed settings; only configs are read, and the rate of a matrix product is measured.

    Raises:
        FileNotFoundError: If there is no base model.
        ValueError: If another module than `TalkingHead` is to be trained.
    """
    if chosen.module.class_path != HEAD:
        raise ValueError(f"`--plan` knows {HEAD} only. Got {chosen.module.class_path}.")
    head, data = vars(chosen.module.init_args), chosen.data.init_args
    head = head | {"memory": MemoryArgs(**vars(head["memory"]))}
    shape = {"clips": data.batch_size, "frames": data.window, "size": data.size}
    with_it, without = (
        plan_step(head | {"gradient_checkpointing": flag}, **shape, autocast=AUTOCAST[chosen.precision])
        for flag in (True, False)
    )
    own = head["gradient_checkpointing"]
    step, other = (with_it, without) if own else (without, with_it)
    kept = data.cache_dir is not None
    return RunPlan(step, other, own, 60 * FPS * step.encoding, kept, _round_seconds(chosen, step))


def _round_seconds(chosen: Namespace, plan: StepPlan) -> float | None:
    device = torch.device("cuda" if torch.cuda.is_available() and chosen.accelerator != "cpu" else "cpu")
    root = Path(chosen.data.init_args.root)
    if (chosen.accelerator == "cuda" and device.type == "cpu") or not root.is_dir():
        return None
    clients = len(find_recordings(root, chosen.data.init_args.people))
    if chosen.federation.sampling == "visible":
        clients = math.ceil(clients * chosen.federation.sample_rate)
    steps = math.ceil(clients / chosen.devices) * chosen.federation.local_steps
    return steps * plan.step.flops / (ATTAINED * measure_rate(device, AUTOCAST[chosen.precision] or torch.float32))


def measure_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """Return the floating-point operations per second of a large matrix product on a device."""
    side = 8192 if device.type == "cuda" else 1024
    factor = torch.randn(side, side, device=device).to(dtype)
    (factor @ factor)[0, 0].item()  # warms up; `item` waits until the device has done it
    start, products = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        (factor @ factor)[0, 0].item()
        products += 1
    return products * 2 * side**3 / elapsed


def _size(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
