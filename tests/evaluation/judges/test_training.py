"""Every judge learns what it is asked, on a few examples within seconds."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from evaluation.judges.examples import Examples
from evaluation.judges.training import FaceTask, PointTask, SyncTask, change_rooms
from lightning_modules.pretraining.task import Task


def losses(task: Task, draw: Callable[[int], tuple], steps: int) -> list[float]:
    """Train and return the loss of every step."""
    optimizer, seen = task.configure_optimizers(), []
    for step in range(steps):
        loss = task.training_step(draw(step), step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(loss.item())
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["identity", "landmarks", "sync"])
def test_losses_fall(people, kind):
    examples = Examples(people)
    task, draw, steps = {
        "identity": (lambda: FaceTask(3), lambda step: examples.draw_faces(16, step), 25),
        "landmarks": (PointTask, lambda step: examples.draw_points(16, step), 25),
        "sync": (SyncTask, lambda step: examples.draw_windows(2, 4, 0), 40),
    }[kind]
    seen = losses(task(), draw, steps)
    assert torch.tensor(seen[-5:]).mean() < 0.7 * torch.tensor(seen[:3]).mean()


def test_a_sync_task_that_hears_other_sounds_cannot_be_right(people):
    task, (frames, mel) = SyncTask(), Examples(people).draw_windows(2, 4, 0)
    own = task.training_step((frames, mel), 0)
    assert own.item() == pytest.approx(math.log(8), abs=0.5)  # knowing nothing, one of eight


def test_faces_get_another_room_and_stay_themselves():
    faces = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 48, 48)
    changed = change_rooms(faces)
    assert torch.allclose(changed[:, :, 20:28, 20:28], faces[:, :, 20:28, 20:28], atol=0.01)
    assert torch.allclose(changed[:, :, 0, 0], faces[:, :, 0, 0].roll(1, dims=0), atol=0.05)
