from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from federation.client_states import ClientState


def trained(make: type[Optimizer], **settings: float) -> tuple[list[nn.Parameter], Optimizer]:
    """Return parameters and an optimizer that has taken two steps."""
    torch.manual_seed(1)
    parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(5))]
    optimizer = make(parameters, **settings)
    for _ in range(2):
        sum(parameter.pow(2).sum() for parameter in parameters).backward()
        optimizer.step()
    return parameters, optimizer


@pytest.mark.parametrize(("make", "settings"), [(AdamW, {"lr": 0.1}), (SGD, {"lr": 0.1, "momentum": 0.9})])
def test_a_saved_state_goes_on_bit_for_bit(tmp_path, make, settings):
    parameters, optimizer = trained(make, **settings)
    ClientState.capture(parameters, optimizer).save(tmp_path / "ann" / "state.safetensors")

    others = [nn.Parameter(torch.zeros_like(parameter)) for parameter in parameters]
    fresh = make(others, **settings)
    ClientState.load(tmp_path / "ann" / "state.safetensors").restore(others, fresh)
    for group, step in ((parameters, optimizer), (others, fresh)):
        step.zero_grad()
        sum(parameter.pow(3).sum() for parameter in group).backward()
        step.step()
    assert all(torch.equal(one, other) for one, other in zip(parameters, others, strict=True))
    assert [path.name for path in (tmp_path / "ann").iterdir()] == ["state.safetensors"]


def test_a_captured_state_does_not_follow_the_parameters():
    parameters, optimizer = trained(AdamW, lr=0.1)
    state = ClientState.capture(parameters, optimizer)
    before = [value.clone() for value in state.personal], state.optimizer[0]["exp_avg"].clone()
    optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(state.personal, before[0], strict=True))
    assert torch.equal(state.optimizer[0]["exp_avg"], before[1])


def test_settings_come_from_the_fresh_optimizer():
    parameters, optimizer = trained(AdamW, lr=0.1)
    fresh = AdamW(parameters, lr=0.5)
    ClientState.capture(parameters, optimizer).restore(parameters, fresh)
    assert fresh.param_groups[0]["lr"] == 0.5


def test_another_shape_is_refused():
    state = ClientState([torch.zeros(2)])
    with pytest.raises(ValueError, match="must fit its personal adapter"):
        state.restore([nn.Parameter(torch.zeros(3))])


def test_joined_split_and_saved_again_is_the_same_state(tmp_path):
    parameters, optimizer = trained(AdamW, lr=0.1)
    state = ClientState.capture(parameters, optimizer)
    joined = state.joined()
    assert [tuple(value.shape) for value in joined.personal] == [(11,)]
    joined.split([parameter.shape for parameter in parameters]).save(tmp_path / "state.safetensors")
    again = ClientState.load(tmp_path / "state.safetensors")
    assert all(torch.equal(one, other) for one, other in zip(again.personal, state.personal, strict=True))
    for position, values in state.optimizer.items():
        assert again.optimizer[position].keys() == values.keys()
        assert all(torch.equal(again.optimizer[position][name], value) for name, value in values.items())


@pytest.mark.parametrize("state", [ClientState([]), ClientState([torch.ones(2, 3), torch.ones(4)])])
def test_a_state_without_optimizer_can_be_joined(state, tmp_path):
    again = state.joined().split([value.shape for value in state.personal])
    assert [value.tolist() for value in again.personal] == [value.tolist() for value in state.personal]
    assert again.optimizer == {}
    again.save(tmp_path / "state.safetensors")
