"""LoRA on small layers: on a CPU the adapters are added to the weight, and one product serves them all."""

from __future__ import annotations

from typing import Any

import torch
from peft import tuners
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

SMALL = 2**16
"""Weights of the largest layer that is computed this way. The backward pass holds as many numbers, and it takes the
gradient of all of them where peft's takes that of the adapters alone: in wide layers that would be most of the work."""
FACTORS = (nn.Linear, nn.Conv2d)


class MergedLinear(tuners.lora.Linear):
    """peft's layer; where `merged_weight` allows, one product takes the place of two small ones for each adapter."""

    @override
    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        weight = merged_weight(self, x)
        if weight is None:
            return super().forward(x, *args, **kwargs)
        return F.linear(x, weight, self.get_base_layer().bias)


class MergedConv2d(tuners.lora.Conv2d):
    """The same for convolutions."""

    @override
    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        weight = merged_weight(self, x)
        base = self.get_base_layer()
        if weight is None:
            return super().forward(x, *args, **kwargs)
        return F.conv2d(x, weight, base.bias, base.stride, base.padding, base.dilation, base.groups)


MERGED = {nn.Linear: MergedLinear, nn.Conv2d: MergedConv2d}
"""What takes the place of which layer, for `LoraConfig`."""


def merged_weight(layer: LoraLayer, x: Tensor) -> Tensor | None:
    """Return a layer's weight with its active adapters in it; output and gradients are peft's, up to rounding.

    None where peft's way is to be taken: in large layers, with the weights of several clients (`stacked`), on a GPU,
    and in 16 bit or less, where a small change of a weight would round to nothing.
    """
    weight = layer.get_base_layer().weight
    names = [name for name in layer.active_adapters if name in layer.lora_B]
    is_exact = x.dtype == weight.dtype and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    is_plain = all(isinstance(layer.lora_B[name], FACTORS) for name in names)
    if layer.disable_adapters or layer.merged or weight.numel() > SMALL or not is_exact or not is_plain:
        return None
    return sum((layer.get_delta_weight(name) for name in names), weight)
