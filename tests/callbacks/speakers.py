"""A module that denoises and speaks without a network, and people with clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


class TinySpeaker(nn.Module):
    """Its shared and its personal parameter are one number each; the loss is their distance to the client's."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.personal = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.asked: list[tuple[Tensor, Tensor]] = []

    def shared_parameters(self) -> list[nn.Parameter]:
        return [self.shared]

    def personal_parameters(self) -> list[nn.Parameter]:
        return [self.personal]

    def denoising_error(self, batch: dict[str, Tensor], timestep: Tensor, eps: Tensor) -> Tensor:
        self.asked.append((timestep.clone(), eps.clone()))
        return (batch["latents"].mean() - self.shared - self.personal).abs().mean() + 1

    def generate(self, portrait: Tensor, sound: Tensor, *, motion: Tensor | None, steps: int, seed: int) -> Tensor:
        shift = int(self.personal.item()) + (0 if motion is None else 100)
        return (portrait + shift).expand(len(sound), -1, -1, -1).to(torch.uint8)


@dataclass
class TinyClip:
    """Black frames and a ramp of sound."""

    frames: Tensor = field(default_factory=lambda: torch.zeros(30, 3, 16, 16, dtype=torch.uint8))
    waveform: Tensor = field(default_factory=lambda: torch.linspace(-1, 1, 30 * 640))


@dataclass
class TinyPeople:
    """Clients whose latents are all their own number; the last one has no test clip. Clips to train on are grey."""

    numbers: dict[str, float]
    has_motion: bool = False

    @property
    def clients(self) -> list[str]:
        return sorted(self.numbers)

    def splits(self, client: str) -> dict[str, list[TinyClip]]:
        grey = TinyClip(torch.full((30, 3, 16, 16), 7, dtype=torch.uint8))
        return {"train": [grey], "val": [], "test": [] if client == self.clients[-1] else [TinyClip()]}

    def encoded(self, client: str, split: str) -> list[dict[str, Tensor]]:
        return [
            {
                "mel": torch.zeros(30, 20, 80),
                "motion": torch.zeros(30, 6),
                "has_motion": torch.tensor(float(self.has_motion)),
            }
        ]

    def client_dataloader(self, client: str, *, steps: int, seed: int, split: str = "train") -> Iterator[dict]:
        for _ in range(steps):
            yield {"latents": torch.full((2, 3, 4), self.numbers[client])}
