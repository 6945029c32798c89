"""What is found out without memory is what a real step needs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.efficiency.footprint import measure_step


def layers(device: str) -> nn.Sequential:
    return nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 32), nn.LayerNorm(32)).to(device)


def step(device: str, *, recompute: bool) -> Tensor:
    module, x = layers(device), torch.ones(16, 32, device=device)
    y = checkpoint(module, x, use_reentrant=False) if recompute else module(x)
    return y.square().mean()


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True])
def test_shapes_alone_tell_what_a_real_step_needs(recompute):
    on_meta, on_cpu = (measure_step(lambda d=d: step(d, recompute=recompute)) for d in ("meta", "cpu"))
    assert (on_meta.flops, on_meta.held) == (on_cpu.flops, on_cpu.held)
    assert on_meta.peak == pytest.approx(on_cpu.peak, rel=0.1)  # recomputing frees a tensor sooner or later


def test_what_is_held_is_what_autograd_saved():
    """Counted independently, by the hooks through which autograd saves tensors."""
    module, x, saved = layers("cpu"), torch.ones(16, 32), {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.setdefault(t.data_ptr(), t.untyped_storage().nbytes()) and t, lambda t: t
    ):
        module(x).square().mean()
    weights = {parameter.data_ptr() for parameter in module.parameters()} | {x.data_ptr()}
    expected = sum(size for pointer, size in saved.items() if pointer not in weights)

    def loss() -> Tensor:
        return module(x).square().mean()

    loss_itself = 4
    assert measure_step(loss).held == expected + loss_itself


@pytest.mark.slow
def test_recomputing_holds_less_and_computes_more():
    plain, again = (measure_step(lambda r=r: step("meta", recompute=r)) for r in (False, True))
    assert again.held < plain.held < plain.peak
    assert again.flops > plain.flops == 3 * 2 * 16 * (32 * 64 + 64 * 32) - 2 * 16 * 32 * 64  # no gradient of the input


def test_what_is_recomputed_is_let_go_at_once():
    def loss(recompute: bool) -> Tensor:
        y = torch.ones(4096, 32, device="meta", requires_grad=True)
        for module in [layers("meta") for _ in range(12)]:
            y = checkpoint(module, y, use_reentrant=False) if recompute else module(y)
        return y.square().mean()

    plain, again = (measure_step(lambda r=r: loss(r)) for r in (False, True))
    assert again.peak < 0.4 * plain.peak


def test_work_is_counted_as_torch_counts_it():
    with FlopCounterMode(display=False) as counter:
        step("cpu", recompute=False).backward()
    assert measure_step(lambda: step("cpu", recompute=False)).flops == counter.get_total_flops() > 0


def test_code_that_asks_for_contents_takes_the_dearest_way():
    def loss() -> Tensor:
        mask = torch.zeros(4, device="meta") > 0
        x = torch.ones(4, 8, device="meta", requires_grad=True)
        y = torch.zeros_like(x)
        if mask.any():
            y[mask] = (x[mask] * 2)[mask.nonzero().flatten()]
        assert float(y.sum()) == y.sum().item() == 0.0
        return (x * 3).sum()

    assert measure_step(loss).peak > 3 * 4 * 8 * 4


def test_mixed_precision_halves_products_and_not_norms():
    seen = {}

    def loss() -> Tensor:
        x = torch.ones(4, 8, device="meta", requires_grad=True)
        product = F.linear(x, torch.ones(8, 8, device="meta"))
        norm = F.layer_norm(product, (8,))
        seen.update(product=product.dtype, norm=norm.dtype)
        return norm.sum()

    measure_step(loss, torch.float16)
    assert seen == {"product": torch.float16, "norm": torch.float32}


@pytest.mark.slow
def test_attention_does_not_hold_its_matrix():
    def loss(frames: int) -> Tensor:
        q = torch.ones(1, 4, frames, 16, device="meta", requires_grad=True)
        return F.scaled_dot_product_attention(q, q, q).sum()

    one, four = (measure_step(lambda n=n: loss(n)).peak for n in (1024, 4096))
    assert four < 4.5 * one
    assert F.scaled_dot_product_attention is torch._C._nn.scaled_dot_product_attention, "The usual one is back."
