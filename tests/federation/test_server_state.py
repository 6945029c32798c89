"""What the server carries comes back bit for bit, and goes on only with the model and the seed it was made with."""

from __future__ import annotations

import json

import pytest
import torch

from federation.server_state import ServerState


def server(rounds_done: int, **changes: object) -> ServerState:
    fields = {
        "clip_norm": 0.1,
        "seed": 7,
        "frozen_hash": "abc",
        "velocity": torch.ones(3),
        "notes": {"head": "f0", "x": 0.1},
    }
    return ServerState(rounds_done, torch.full((3,), rounds_done / 3), **{**fields, **changes})


def test_without_momentum_there_is_none(tmp_path):
    server(1, velocity=None).save(tmp_path)
    assert ServerState.load(tmp_path).velocity is None


def test_numbers_come_back_as_they_were(tmp_path):
    server(3, clip_norm=1 / 3).save(tmp_path)
    again = ServerState.load(tmp_path)
    assert (again.rounds_done, again.clip_norm, again.seed, again.notes) == (3, 1 / 3, 7, {"head": "f0", "x": 0.1})
    assert torch.equal(again.global_adapter, server(3).global_adapter)
    assert again.frozen_hash == json.loads((tmp_path / "server.json").read_text())["backbone"] == "abc"


@pytest.mark.parametrize(
    ("change", "what"),
    [({"seed": 8}, "seed"), ({"frozen_hash": "other"}, "frozen part of the model")],
)
def test_another_model_or_seed_does_not_fit(change, what):
    server(1).demand_fit(server(0))
    with pytest.raises(ValueError, match=f"The {what} must be the one the run was started with"):
        server(1).demand_fit(server(0, **change))
