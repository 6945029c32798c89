"""A layer with its adapters in the weight gives what peft's layer gives, and steps aside where it could not."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from lightning_modules.efficiency import merged_layers
from lightning_modules.efficiency.merged_layers import MERGED

NAMES = ("wide", "flat", "last")


class Three(nn.Module):
    """A convolution with stride and padding, one of single pixels, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.flat, self.last = nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 6, 1), nn.Linear(3, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply all."""
        return self.last(self.flat(self.wide(x)))


def make(*, merged: bool) -> nn.Module:
    """Return the same layers in each call, with two adapters that change something."""
    torch.manual_seed(0)
    model = Three().requires_grad_(False)
    for name, rank in (("shared", 2), ("identity", 3)):
        config = LoraConfig(r=rank, lora_alpha=4 * rank, target_modules=list(NAMES))
        if merged:
            config._register_custom_module(MERGED)
        inject_adapter_in_model(config, model, name)
    for layer in layers(model):
        layer.set_adapter(["shared", "identity"])
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def layers(model: nn.Module) -> list[nn.Module]:
    """Return the layers that carry the adapters."""
    return [getattr(model, name) for name in NAMES]


def run(model: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the output for one picture and the gradients of the adapters."""
    made = model(torch.ones(2, 4, 6, 6) * torch.arange(6))
    made.square().mean().backward()
    return made.detach(), [parameter.grad for parameter in model.parameters() if parameter.requires_grad]


@pytest.fixture
def called(monkeypatch):
    """Collect the base's layers and the factors that are called, as all are beside each other in peft's way."""
    called = []
    for kind in (nn.Conv2d, nn.Linear):
        forward = kind.forward
        monkeypatch.setattr(kind, "forward", lambda self, x, own=forward: called.append(self) or own(self, x))
    return called


def test_output_and_gradients_are_those_of_pefts_layer(called):
    made, gradients = run(make(merged=True))
    assert not called
    expected, theirs = run(make(merged=False))
    assert len(called) == 3 * 5
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-3)
    assert len(gradients) == 12
    for mine, its in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-4 * its.abs().max().item())


@pytest.mark.parametrize("change", ["16 bit", "merged", "disabled", "stacked", "large"])
def test_it_steps_aside(monkeypatch, called, change):
    models = make(merged=True), make(merged=False)
    x = torch.randn(2, 4, 6, 6)
    if change == "large":
        monkeypatch.setattr(merged_layers, "SMALL", 0)
    for layer in [layer for model in models for layer in layers(model)]:
        if change == "merged":
            layer.merge()
        if change == "disabled":
            layer.enable_adapters(False)
        if change == "stacked":
            layer.lora_B["shared"] = nn.Sequential(layer.lora_B["shared"])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=change == "16 bit"):
        made, expected = (model(x) for model in models)
    assert made.dtype == (torch.bfloat16 if change == "16 bit" else torch.float32)
    assert torch.equal(made, expected)
    assert len(called) == 2 * 3 * (1 if change in ("merged", "disabled") else 5)
