from __future__ import annotations

import pytest
import torch

from federation.fingerprint import fingerprint_frozen
from tests.tiny import TinyModule


class Buffered(TinyModule):
    """Has a frozen part that is no parameter."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.register_buffer("scale", torch.ones(2, 3))


@pytest.mark.parametrize("frozen", [lambda module: module.base.bias, lambda module: module.scale])
def test_whatever_is_frozen_counts_parameter_or_buffer(frozen):
    module, same = Buffered(), Buffered()
    assert fingerprint_frozen(module) == fingerprint_frozen(same)
    with torch.no_grad():
        frozen(module)[-1] += 1e-3
    assert fingerprint_frozen(module) != fingerprint_frozen(same)


def test_shape_and_type_count():
    flat, halves = Buffered(), Buffered()
    flat.scale, halves.scale = flat.scale.flatten(), halves.scale.half()
    assert len({fingerprint_frozen(module) for module in (Buffered(), flat, halves)}) == 3


@pytest.mark.parametrize("adapter", ["shared", "personal"])
def test_what_is_trained_does_not_count(adapter):
    module = Buffered()
    with torch.no_grad():
        getattr(module, adapter).weight.zero_()
    assert fingerprint_frozen(module) == fingerprint_frozen(Buffered())
