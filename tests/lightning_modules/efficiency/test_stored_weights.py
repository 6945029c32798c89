"""Weights kept in 8 bit or in host memory act like those that are at hand, in both directions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules.efficiency.stored_weights import EIGHT_BIT, store_weights


def layers() -> nn.Module:
    """Return a convolution and a linear layer between trained ones, all weights drawn anew."""
    made = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.SiLU(), nn.Linear(4, 8), nn.Linear(8, 2))
    made[1].requires_grad_(False)
    made[3].requires_grad_(False)
    return made


def gradients(module: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    module.zero_grad()
    module(x).square().mean().backward()
    return [parameter.grad for parameter in module.parameters() if parameter.requires_grad]


def test_host_memory_changes_nothing():
    x, plain = torch.randn(2, 3, 8, 8), layers()
    expected, output = gradients(plain, x), plain(x)
    stored = store_weights(plain, on_host=True)
    assert len(stored) == 2
    assert torch.equal(plain(x), output)
    assert all(torch.equal(one, other) for one, other in zip(gradients(plain, x), expected, strict=True))


def test_eight_bit_is_near_and_small():
    x, plain = torch.randn(2, 3, 8, 8), layers()
    with torch.no_grad():
        plain[1].weight.mul_(1e-4)  # without a scale, e4m3 knows nothing below 0.002
    expected, output = gradients(plain, x), plain(x)
    store_weights(plain, eight_bit=True)
    assert [layer.weight.dtype == EIGHT_BIT for layer in plain if hasattr(layer, "weight")] == [
        False,
        True,
        True,
        False,
    ]
    assert (plain(x) - output).norm() < 0.05 * output.norm()
    for near, exact in zip(gradients(plain, x), expected, strict=True):
        assert (near - exact).norm() < 0.1 * exact.norm()
    assert plain[1].weight.dtype == EIGHT_BIT, "The weight is small again when the layer has worked."


def test_a_layer_that_fails_puts_its_weights_back():
    layer = nn.Linear(4, 4).requires_grad_(False)
    weight = layer.weight
    store_weights(layer, eight_bit=True)
    with pytest.raises(RuntimeError):
        layer(torch.zeros(2, 3))
    assert layer.weight is weight


class Crossings(TorchDispatchMode):
    """Counts the copies from one device to another, for which the host waits."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.count += func is torch.ops.aten._to_copy.default and args[0].device != result.device
        return result


def test_the_scale_of_a_weight_on_a_device_is_not_copied_there():
    layer = nn.Linear(4, 4).requires_grad_(False)
    store_weights(layer, eight_bit=True)
    layer.to("meta")
    with Crossings() as crossings:
        assert layer(torch.zeros(1, 4, device="meta")).is_meta
    assert crossings.count == 0


def test_no_weights_are_zero():
    layer = nn.Linear(4, 4).requires_grad_(False)
    nn.init.zeros_(layer.weight)
    store_weights(layer, eight_bit=True)
    assert torch.equal(layer(torch.ones(1, 4)), layer.bias[None])


def test_a_weight_that_is_worked_out_from_others_stays_at_hand():
    """As that of wav2vec's convolution over positions: its factors lie below the layer, where nothing fetches them."""
    module = nn.Sequential(weight_norm(nn.Conv1d(2, 2, 3)), nn.Conv1d(2, 2, 1)).requires_grad_(False)
    x = torch.randn(1, 2, 8)
    expected = module(x)
    stored = store_weights(module, eight_bit=False, on_host=True)
    assert [weights.layer for weights in stored] == [module[1]]
    assert torch.equal(module(x), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_weights_in_host_memory_leave_the_device():
    module = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(8))).requires_grad_(False)
    x = torch.randn(1, 1024)
    expected, stored = module(x), store_weights(module, on_host=True)
    module.cuda()
    for weights in stored:
        weights.settle()
    torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda")  # cuBLAS keeps a workspace from its first use
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        torch.testing.assert_close(module(x.cuda()).cpu(), expected, rtol=1e-3, atol=1e-3)
    assert torch.cuda.memory_allocated() - before < 2**20
    assert torch.cuda.max_memory_allocated() - before < 4 * 1024**2 * 4, "All layers' weights were there at once."
