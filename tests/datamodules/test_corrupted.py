"""Clips that are wrong in one way, of one client, and only where it trains."""

from __future__ import annotations

import pytest
import torch

from datamodules.clients import ClientDataModule
from datamodules.corrupted import CorruptedClients
from datamodules.windows import OF_REFERENCE

SEEN = ("latents", "identity", "motion", "mouth")


def draw(data, client: str, split: str = "train") -> dict[str, torch.Tensor]:
    batches = list(data.client_dataloader(client, steps=10, seed=3, split=split))
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def person(part: torch.Tensor) -> set[float]:
    return set((part // 1000).unique().tolist())


@pytest.fixture
def corrupt(read_marked):
    """Return a maker of data in which eve's clips have a fault; ada comes after her, and has one shorter clip."""
    return lambda fault: read_marked(CorruptedClients, victims=["eve"], fault=fault, window=8, batch_size=3)


@pytest.mark.parametrize("fault", ["sound", "face", "motion"])
def test_others_and_what_is_scored_are_as_they_were(corrupt, read_marked, fault):
    wrong, right = corrupt(fault), read_marked(ClientDataModule, window=8, batch_size=3)
    for client, split in (("bob", "train"), ("eve", "val"), ("eve", "test")):
        ours, theirs = draw(wrong, client, split), draw(right, client, split)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert any(not torch.equal(part, draw(right, "eve")[name]) for name, part in draw(wrong, "eve").items())


def test_another_is_heard(corrupt):
    batch = draw(corrupt("sound"), "eve")
    assert person(batch["mel"]) == {0}
    assert all(person(batch[name]) == {2} for name in SEEN)
    assert batch["mel"].shape == (30, 8, 20, 80)


def test_another_is_the_portrait(corrupt):
    batch = draw(corrupt("face"), "eve")
    assert all(person(batch[name]) == {0} for name in OF_REFERENCE)
    assert all(person(batch[name]) == {2} for name in ("latents", "motion", "mouth", "mel"))


def test_the_picture_runs_backwards_under_its_sound(corrupt):
    batch = draw(corrupt("motion"), "eve")
    steps = {name: set(batch[name].flatten(2)[:, :, 0].diff(dim=1).unique().tolist()) for name in ("latents", "mel")}
    assert steps == {"latents": {-1.0}, "mel": {1.0}}
    assert set(batch["mouth"].diff(dim=1).unique().tolist()) == {-1.0}


def test_the_portrait_stays_outside_the_window_where_the_picture_runs_backwards(read_marked):
    data = read_marked(CorruptedClients, victims=["ada"], fault="motion", window=8, batch_size=3)
    for batch in data.client_dataloader("ada", steps=20, seed=3):
        assert not (batch["mouth"] == batch["identity"][:, :1]).any()


def test_a_victim_must_be_a_client(read_marked):
    with pytest.raises(ValueError, match=r"--data\.victims.*Got zoe"):
        read_marked(CorruptedClients, victims=["zoe"], fault="face")
