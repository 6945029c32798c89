"""A convolution with its adapters in the weight gives what peft's layer gives, and steps aside where it could not."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Conv2d
from torch import nn

from lightning_modules.merged_convolution import MergedConv2d


class Two(nn.Module):
    """A convolution with stride and padding, and one of single pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.flat = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.Conv2d(8, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply both."""
        return self.flat(self.wide(x))


def make(layer: type[Conv2d]) -> nn.Module:
    """Return the same convolutions in each call, with two adapters that change something."""
    torch.manual_seed(0)
    model = Two().requires_grad_(False).double()
    for name, rank in (("shared", 2), ("identity", 3)):
        config = LoraConfig(r=rank, lora_alpha=4 * rank, target_modules=["wide", "flat"])
        config._register_custom_module({nn.Conv2d: layer})
        inject_adapter_in_model(config, model, name)
    for module in (model.wide, model.flat):
        module.set_adapter(["shared", "identity"])
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.float()


def run(model: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the output for one picture and the gradients of the adapters."""
    made = model(torch.ones(2, 4, 6, 6) * torch.arange(6))
    made.square().mean().backward()
    return made.detach(), [parameter.grad for parameter in model.parameters() if parameter.requires_grad]


@pytest.fixture
def convolutions(monkeypatch):
    """Count what the base's layers compute themselves, as they do beside adapters."""
    called = []
    forward = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: called.append(self) or forward(self, x))
    return called


def test_output_and_gradients_are_those_of_pefts_layer(convolutions):
    made, gradients = run(make(MergedConv2d))
    assert not convolutions
    expected, theirs = run(make(Conv2d))
    assert len(convolutions) == 2 * 5
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)
    assert len(gradients) == 8
    for mine, its in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-4 * its.abs().max().item())


@pytest.mark.parametrize("change", ["16 bit", "merged", "disabled", "stacked"])
def test_it_steps_aside(convolutions, change):
    model, plain = make(MergedConv2d), make(Conv2d)
    x = torch.randn(2, 4, 6, 6)
    for module in (model.wide, model.flat, plain.wide, plain.flat):
        if change == "merged":
            module.merge()
        if change == "disabled":
            module.enable_adapters(False)
        if change == "stacked":
            module.lora_B["shared"] = nn.Sequential(module.lora_B["shared"])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=change == "16 bit"):
        made, expected = model(x), plain(x)
    assert made.dtype == (torch.bfloat16 if change == "16 bit" else torch.float32)
    assert torch.equal(made, expected)
    assert len(convolutions) == 2 * (5 if change in ("16 bit", "stacked") else 1) * 2
