"""The loop of stage 0: one task after another, each resumable."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from lightning_modules.pretraining.task import Task
from whole_files import put_in_place, save_text

SETTINGS = "settings.json"


class TaskFitter:
    """Fits one task after another, each resumable; what ships is the average of the last weights.

    Args:
        fabric: Where to compute.
        folder: Where the checkpoints of all tasks go.
        seed: Of every draw; those of a step depend on no step before it.
        settings: What the training follows from, as JSON values: a folder is continued with the same ones only.
        save_every: Optimizer steps between checkpoints.

    Raises:
        ValueError: If the folder holds another training.
    """

    def __init__(
        self, fabric: Fabric, folder: Path, seed: int, settings: Mapping[str, object], save_every: int = 100
    ) -> None:
        self.fabric = fabric
        self.folder = folder
        self.seed = seed
        self.save_every = save_every
        self.log: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        hold_settings(folder, {"seed": seed, **settings}, writes=fabric.is_global_zero)

    def fit(self, name: str, task: Task, draw: Callable[[int], Any], steps: int) -> None:
        """Train a task for `steps` optimizer steps on what `draw(seed)` gives, from its checkpoint if it has one."""
        if not steps:
            self.log[name] = {"steps": 0, "seconds": 0, "losses": []}
            task.model.eval()
            return
        fabric = self.fabric
        path = self.folder / f"{name}.ckpt"
        average = AveragedModel(task.model, multi_avg_fn=get_ema_multi_avg_fn(average_decay(steps)))
        fabric.to_device(average)
        module, optimizer = fabric.setup(task, task.configure_optimizers())
        state = {"task": module, "optimizer": optimizer, "average": average, "step": 0, "losses": [], "seconds": 0.0}
        state["precision"] = fabric.strategy.precision.state_dict()  # the gradient scaler's, where there is one
        if path.exists():
            state |= fabric.load(path, {k: state[k] for k in ("task", "optimizer", "average")}, weights_only=True)
            fabric.strategy.precision.load_state_dict(state["precision"])
        began = time.monotonic() - state["seconds"]
        recent = []
        steps_left = range(state["step"], steps)
        bar = tqdm(
            steps_left, name, initial=state["step"], total=steps, mininterval=5, disable=not fabric.is_global_zero
        )
        for step in bar:
            for group in optimizer.param_groups:
                group["lr"] = task.learning_rate * learning_rate_factor(step, steps)
            draw_seed, noise_seed = derive_seeds(self.seed, name, step, fabric.global_rank)
            torch.manual_seed(noise_seed)
            recent.append(self._step(module, optimizer, fabric.to_device(draw(draw_seed)), step))
            average.update_parameters(task.model)
            if (step + 1) % self.save_every == 0 or step + 1 == steps:
                state["losses"].append([step + 1, torch.stack(recent).cpu().double().mean().item()])
                state |= {"step": step + 1, "seconds": time.monotonic() - began}
                state["precision"] = fabric.strategy.precision.state_dict()
                self._save(path, state)
                bar.set_postfix(loss=f"{state['losses'][-1][1]:.4f}")
                recent = []
        task.model.load_state_dict(average.module.state_dict())
        task.model.eval()
        self.log[name] = {"steps": steps, "seconds": round(state["seconds"]), "losses": state["losses"]}

    def _step(self, module: LightningModule, optimizer: Optimizer, batch: Any, step: int) -> Tensor:
        """Take one optimizer step and return the loss, which stays where it is."""
        with self.fabric.autocast():
            loss = module.training_step(batch, step)
        self.fabric.backward(loss)
        scaled = getattr(self.fabric.strategy.precision, "scaler", None) is not None  # it skips steps that overflow
        self.fabric.clip_gradients(module, optimizer, max_norm=1.0, error_if_nonfinite=not scaled)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    def _save(self, path: Path, state: dict[str, Any]) -> None:
        """Write a checkpoint under a temporary name first."""
        partial = path.with_suffix(".partial")
        self.fabric.save(partial, state)
        if self.fabric.is_global_zero:
            put_in_place(partial, path)


def hold_settings(folder: Path, settings: Mapping[str, object], writes: bool) -> None:
    """Keep the settings of the training in a folder, so that its checkpoints are never taken for another one's.

    Raises:
        ValueError: If there are others, or checkpoints without any.
    """
    path = folder / SETTINGS
    settings = json.loads(json.dumps(settings))
    if path.is_file():
        kept = json.loads(path.read_text())
        for name in sorted(kept.keys() | settings.keys()):
            if kept.get(name) != settings.get(name):
                raise ValueError(
                    f"{folder} holds a training whose {name} was {kept.get(name)}. Got {settings.get(name)}. Go on "
                    "with its own settings, or name another `--work`."
                )
    elif any(folder.glob("*.ckpt")):
        raise ValueError(f"{folder} holds a training of unknown settings. Name another `--work`.")
    elif writes:
        save_text(path, json.dumps(settings, indent=2) + "\n")


def derive_seeds(seed: int, name: str, step: int, rank: int) -> tuple[int, int]:
    """Return two seeds that no other step has: of its draw from the data, and of all else that chance decides."""
    drawn, other = np.random.SeedSequence([seed, zlib.crc32(name.encode()), step, rank]).generate_state(2).tolist()
    return drawn, other


def average_decay(steps: int) -> float:
    """Return what each step leaves of the average of weights: its memory is a tenth of the steps.

    At the end it holds e^-10 of the first weights, however short the training was.
    """
    return max(0.0, 1 - 10 / max(1, steps))


def learning_rate_factor(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a short warm-up, a plateau, a cosine to zero over the last 40 %."""
    warm = min(1.0, (step + 1) / 100)
    left = min(1.0, (steps - step) / (0.4 * steps))
    return warm * (0.5 - 0.5 * math.cos(math.pi * left))
