"""Everybody's clips as one client's, each example still of one person."""

from __future__ import annotations

import pytest
import torch

from datamodules.pooled import EVERYONE, PooledClients


@pytest.fixture
def pooled(read_marked) -> PooledClients:
    return read_marked(PooledClients, window=8, batch_size=4)


def marks(batches, name: str) -> torch.Tensor:
    """Return who each example is of."""
    return torch.cat([batch[name].flatten(1)[:, 0] for batch in batches]) // 1000


def test_there_is_one_client_with_everyones_clips(pooled):
    assert pooled.clients == [EVERYONE]
    assert pooled.num_examples(EVERYONE) == 30 + 30 + 93
    assert {split: len(clips) for split, clips in pooled.splits(EVERYONE).items()} == {"train": 5, "val": 1, "test": 2}


def test_a_batch_is_of_one_person_with_their_own_portraits(pooled):
    batches = list(pooled.client_dataloader(EVERYONE, steps=20, seed=1))
    assert torch.equal(marks(batches, "latents"), marks(batches, "identity"))
    assert all(len(batch["latents"]) == 4 and len(set(marks([batch], "latents").tolist())) == 1 for batch in batches)
    assert set(marks(batches, "latents").tolist()) == {0, 1, 2}


def test_a_person_is_drawn_as_often_as_there_are_frames_of_them(pooled):
    drawn = marks(pooled.client_dataloader(EVERYONE, steps=2000, seed=1), "latents")
    shares = torch.bincount(drawn.long()) / len(drawn)
    assert shares.tolist() == pytest.approx([30 / 153, 30 / 153, 93 / 153], abs=0.03)


def test_examples_follow_from_the_seed(pooled):
    first, again, other = (
        torch.cat([batch["mouth"] for batch in pooled.client_dataloader(EVERYONE, steps=5, seed=seed)])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_held_out_stays_so(pooled):
    for batch in pooled.client_dataloader(EVERYONE, steps=10, seed=3, split="test"):
        assert set((batch["mouth"] // 100).unique().tolist()) <= {11, 24}  # bob's second clip, eve's fifth
        assert set((batch["identity"] // 100).unique().tolist()) <= {10, 20, 21, 22}


def test_a_pool_must_be_read_first():
    with pytest.raises(RuntimeError, match="setup"):
        PooledClients().clients  # noqa: B018
