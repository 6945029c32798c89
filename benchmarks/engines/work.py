"""The job that every engine gets: the same net, data, local steps and average, by nothing but torch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD

FEATURES, CLASSES, BATCH_SIZE = 64, 10, 16
LEARNING_RATE, GRADIENT_CLIP = 0.1, 1.0

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Work:
    """FedAvg with equal weights and full participation."""

    clients: int
    steps: int
    """Local SGD steps of a client, one batch each."""
    width: int
    """Of the two hidden layers."""
    rounds: int
    processes: int
    costs: tuple[float, ...] = ()
    """Seconds that each client takes: it trains, then waits for the rest of them. Only the training if not given."""
    saves: bool = False
    """Whether every round writes what a run continues from, where the engine can."""

    @property
    def names(self) -> list[str]:
        """Return the clients' names, sorted."""
        return [f"{number:04d}" for number in range(self.clients)]

    def batches(self, client: str) -> Iterator[Batch]:
        """Yield a client's batches, the same in every round."""
        began = time.perf_counter()
        yield from make_batches(int(client), self.steps)
        if self.costs:
            time.sleep(max(0.0, began + self.costs[int(client)] - time.perf_counter()))

    def to_json(self) -> str:
        """Return the work as an engine's argument."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Done:
    """What an engine says of its run."""

    seconds: list[float]
    """Of each round."""
    checksum: float
    """L2 norm of the last global parameters."""

    def save(self, path: Path) -> None:
        """Write this as JSON."""
        path.write_text(json.dumps(asdict(self)))


def read_arguments() -> tuple[Work, Path]:
    """Return an engine's job and where its result goes, from the command line; computing takes one thread."""
    torch.set_num_threads(1)
    return Work(**json.loads(sys.argv[1])), Path(sys.argv[2])


@cache
def make_batches(number: int, steps: int) -> list[Batch]:
    """Draw a client's batches once in each process, so that no round pays for it."""
    generator = torch.Generator().manual_seed(number)
    return [
        (
            torch.randn(BATCH_SIZE, FEATURES, generator=generator) + number / 10,
            torch.randint(CLASSES, (BATCH_SIZE,), generator=generator),
        )
        for _ in range(steps)
    ]


@cache
def make_net(width: int) -> nn.Sequential:
    """Return this process's one net, at first with weights that are the same everywhere."""
    torch.manual_seed(0)
    layers = [nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, CLASSES)]
    return nn.Sequential(*layers)


def take_steps(net: nn.Module, batches: Iterator[Batch]) -> None:
    """Train as a client does."""
    optimizer = SGD(net.parameters(), lr=LEARNING_RATE)
    for inputs, labels in batches:
        optimizer.zero_grad()
        cross_entropy(net(inputs), labels).backward()
        clip_grad_norm_(net.parameters(), GRADIENT_CLIP)
        optimizer.step()


def norm(parameters: Sequence[Tensor]) -> float:
    """Return the L2 norm of all parameters together, in float64."""
    return torch.cat([parameter.detach().double().flatten() for parameter in parameters]).norm().item()
