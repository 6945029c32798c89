"""What a task trains, and how far its weights decay."""

from __future__ import annotations

import inspect
import re

import pytest
from torch import nn

from lightning_modules.args import Steps
from lightning_modules.base_folder import load_base
from lightning_modules.pretraining.task import Task
from lightning_modules.pretraining.tasks import (
    BATCHES,
    AutoencoderTask,
    DecoderTask,
    DenoiserTask,
    IdentityTask,
    MoverTask,
    PoseTask,
)


def test_what_is_frozen_of_a_network_is_not_trained():
    task = Task(nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1)), learning_rate=0.1)
    task.centres = nn.Parameter(task.model[1].weight.clone())
    (group,) = task.configure_optimizers().param_groups
    assert {id(one) for one in group["params"]} == {id(one) for one in (task.centres, *task.model[1].parameters())}
    assert (group["lr"], group["weight_decay"]) == (0.1, 1e-2)


def test_the_help_of_steps_tells_each_batch():
    told = dict(re.findall(r'(\w+): int = \d+\n    """(.*?)"""', inspect.getsource(Steps)))
    assert told.keys() == BATCHES.keys()
    for name, batch in BATCHES.items():
        assert f", {batch} each" in told[name]


@pytest.mark.slow
def test_pictures_are_rebuilt_by_weights_that_decay_less(tiny_base):
    backbone = load_base(tiny_base)
    kinds = (AutoencoderTask, IdentityTask, PoseTask, MoverTask, DenoiserTask, DecoderTask)
    more = {IdentityTask: (3,), DenoiserTask: (5e-4,)}  # the number of people, the learning rate
    tasks = (kind(backbone, *more.get(kind, ())) for kind in kinds)
    settings = {type(task): task.configure_optimizers().param_groups[0] for task in tasks}
    less = {kind for kind, group in settings.items() if group["weight_decay"] == 1e-4}
    assert less == {AutoencoderTask, MoverTask, DecoderTask}
    assert [group["lr"] for group in settings.values()] == [1e-3, 2e-3, 2e-3, 2e-3, 5e-4, 1e-3]
    assert len(settings[DecoderTask]["params"]) < len(settings[AutoencoderTask]["params"])
