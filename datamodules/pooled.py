"""Everybody's clips in one hand: the training without a federation that a federation is compared with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset
from typing_extensions import override

from datamodules.clients import ClientDataModule
from datamodules.clips import Clip
from datamodules.reading.splitting import SPLITS

EVERYONE = "everyone"


class PooledClients(ClientDataModule):
    """One client, `everyone`, who holds all clips; a batch is still of one person, to compare its frames.

    A person is drawn as often as there are training frames of them, which is how FedAvg weighs clients. Whoever reads
    these clips has seen them all: nothing here is private.
    """

    @property
    @override
    def clients(self) -> list[str]:
        return [EVERYONE] if super().clients else []

    @override
    def splits(self, client: str) -> dict[str, list[Clip]]:
        if client != EVERYONE:
            return super().splits(client)
        return {split: [clip for person in self._people.values() for clip in person[split]] for split in SPLITS}

    @override
    def draw_examples(
        self, client: str, split: str, count: int, generator: torch.Generator
    ) -> Dataset[dict[str, Tensor]]:
        if client != EVERYONE:
            return super().draw_examples(client, split, count, generator)
        people = [person for person, splits in self._people.items() if splits[split]]
        frames = torch.tensor([float(self.num_examples(person)) for person in people])
        batches = count // self.batch_size
        drawn = torch.multinomial(frames, batches, replacement=True, generator=generator).tolist()
        return ConcatDataset([self.draw_examples(people[at], split, self.batch_size, generator) for at in drawn])
