"""Clips and scalers of a client's two parts, and the pull of FedProx."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter
from torch.optim import SGD

from federation.args import FederationArgs
from federation.local_optimizer import LocalOptimizer, proximal_step


def make_local(scaler: torch.amp.GradScaler | None = None, **clips: float) -> tuple[LocalOptimizer, list[Parameter]]:
    parameters = [Parameter(torch.ones(3)), Parameter(torch.ones(2))]
    optimizers = {part: SGD([one], lr=0.1) for part, one in zip(("shared", "personal"), parameters, strict=True)}
    return LocalOptimizer(optimizers, FederationArgs(**clips), proximal_mu=0.0, scaler=scaler), parameters


def take_step(local: LocalOptimizer, parameters: list[Parameter]) -> torch.Tensor:
    local.scale(sum(parameter.pow(2).sum() for parameter in parameters)).backward()
    local.step()
    return torch.cat([parameter.detach() for parameter in parameters])


def test_two_optimizers_share_one_scaler():
    """Powers of two scale exactly, so the steps must equal those without a scaler, bit for bit."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=1)
    assert torch.equal(take_step(*make_local(scaler)), take_step(*make_local()))
    assert scaler.get_scale() == 2.0**11


def test_an_overflow_moves_nothing_and_lowers_the_scale():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    assert torch.equal(take_step(*make_local(scaler)), torch.ones(5))
    assert scaler.get_scale() == 2.0**126


def test_each_part_has_its_own_clip():
    moved = 1 - take_step(*make_local(shared_gradient_clip=0.5, personal_gradient_clip=0.25))
    assert moved[:3].norm().item() == pytest.approx(0.05, rel=1e-4)
    assert moved[3:].norm().item() == pytest.approx(0.025, rel=1e-4)


def test_a_step_leaves_no_gradient():
    local, parameters = make_local()
    take_step(local, parameters)
    assert [parameter.grad for parameter in parameters] == [None, None]


def test_the_proximal_step_solves_its_problem():
    """The result minimises ||theta - x||^2 / (2 lr) + mu/2 ||theta - theta_0||^2, for every group's own rate."""
    parameters = [Parameter(torch.randn(3)), Parameter(torch.randn(2))]
    optimizer = SGD([{"params": [parameters[0]], "lr": 0.1}, {"params": [parameters[1]], "lr": 0.5}])
    anchors = {parameter: torch.randn_like(parameter) for parameter in parameters}
    points = [parameter.detach().clone() for parameter in parameters]
    proximal_step(optimizer, anchors, mu=3.0)
    for parameter, point, rate in zip(parameters, points, (0.1, 0.5), strict=True):
        gradient = (parameter - point) / rate + 3.0 * (parameter - anchors[parameter])
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-5, rtol=0)


def test_mu_zero_changes_no_bit():
    parameter = Parameter(torch.randn(100))
    before, anchor = parameter.detach().clone(), torch.zeros(100)
    proximal_step(SGD([parameter], lr=0.1), {parameter: anchor}, mu=0.0)
    assert torch.equal(parameter, before)
