"""The matrix of adapters must see whose adapter fits whom."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from lightning.fabric import Fabric

from benchmarks.personalisation import demand, try_everybody
from benchmarks.runs import open_run

CLIENTS = ["ann", "bob", "cleo"]


class Guess(torch.nn.Module):
    """Its loss is the distance of shared plus personal value to the client's."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.personal = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))

    def shared_parameters(self):
        return [self.shared]

    def prepare(self, batch):
        return batch

    def denoising_error(self, batch, timestep, eps):
        assert eps.shape == batch["latents"].shape
        return (self.shared + self.personal - batch["latents"].mean()).abs().sum()


class Clips:
    """Each client's clips have one value: 2, 3 and 4."""

    clients = CLIENTS

    def splits(self, client):
        return {"test": [client]}

    def client_dataloader(self, client, *, steps, seed, split):
        assert split == "test"
        return [{"latents": torch.full((2, 3), 2.0 + CLIENTS.index(client))}] * steps


def fake_run(offset: float = 0.0) -> SimpleNamespace:
    module = Guess()

    def load_identity(client: str) -> None:
        module.personal.data.fill_(CLIENTS.index(client) + offset)

    run = SimpleNamespace(module=module, data=Clips(), fabric=Fabric(accelerator="cpu", devices=1))
    run.load_shared = lambda: module.shared.data.fill_(2.0)
    run.load_identity = load_identity
    return run


def test_rows_are_clients_and_columns_are_adapters():
    losses = try_everybody(fake_run(), batches=2)
    assert losses["cleo"] == pytest.approx({"base": 4, "shared": 2, "ann": 2, "bob": 1, "cleo": 0})
    assert all(bar.met for bar in demand(losses))


def test_adapters_of_the_wrong_people_miss_the_bar():
    gain, wins = demand(try_everybody(fake_run(offset=1.0), batches=1))
    assert gain.met
    assert not wins.met


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.yaml"):
        open_run(tmp_path)
