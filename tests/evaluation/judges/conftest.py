"""A few drawn people, and judges that know nothing yet."""

from __future__ import annotations

import pytest
import torch

from datamodules.clips import Clip
from datamodules.demo.person import name_of
from evaluation.judges.identity import JudgeEncoder
from evaluation.judges.landmarks import LandmarkNet
from evaluation.judges.sync import SyncNet
from tests.evaluation.drawn import draw_clips


@pytest.fixture(scope="session")
def people() -> dict[str, list[Clip]]:
    """Return two clips of 40 frames of each of three demo people, by name."""
    return {name_of(seed): draw_clips(seed, clips=2, frames=40) for seed in range(1000, 1003)}


@pytest.fixture(scope="session")
def untrained() -> dict[str, JudgeEncoder | SyncNet | LandmarkNet]:
    """Return judges with random weights, by the names of their folders."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judges = {"identity": JudgeEncoder(), "sync": SyncNet(), "landmarks": LandmarkNet()}
    return {name: judge.eval().requires_grad_(False) for name, judge in judges.items()}
