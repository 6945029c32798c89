"""Frozen weights that are kept in 8 bit or in host memory, and are brought back while their layer works."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

EIGHT_BIT = torch.float8_e4m3fn
LARGEST = torch.finfo(EIGHT_BIT).max

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class StoredWeights:
    """The weights of one frozen layer, kept small or far away.

    While the layer works, tensors of their own take the place of its parameters. The backward pass finds those even
    when the parameters are back; it would not if their memory were swapped, as diffusers' layerwise casting does: a
    convolution's gradient would then read the 8-bit copy. They are held until that pass has used them, so training
    saves memory only with gradient checkpointing, which brings them in once more, block by block.
    """

    def __init__(self, layer: nn.Module, *, eight_bit: bool, on_host: bool) -> None:
        """Store the weights of a layer and have them brought in at each forward pass.

        Args:
            layer: One of `LAYERS`, frozen.
            eight_bit: Keep the weight as float8 (e4m3) with one scale, at which its largest value just fits.
            on_host: Keep the parameters in host memory; they follow the layer's input to its device.
        """
        self.layer = layer
        self.on_host = on_host
        self.kept: dict[str, nn.Parameter | None] = {}
        if eight_bit:
            self.dtype = layer.weight.dtype
            weight = layer.weight.detach().float()
            self.scale = (weight.abs().max() / LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
            layer.weight.data = (weight / self.scale).to(EIGHT_BIT)
        self.settle()
        layer.register_forward_pre_hook(self._bring_in, with_kwargs=True)
        layer.register_forward_hook(self._put_back, always_call=True)

    def settle(self) -> None:
        """Send what is kept in host memory back there, after the whole model was moved to a device.

        A model on the meta device, which is only planned, has no memory to send. Memory is pinned once CUDA is in use,
        and not before: that would open the first GPU, whichever one the model goes to.
        """
        for parameter in self.layer.parameters() if self.on_host else ():
            if not parameter.is_meta:
                host = parameter.data.cpu()
                parameter.data = host.pin_memory() if torch.cuda.is_initialized() else host

    def _bring_in(self, layer: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        device = next(chain(args, kwargs.values())).device
        self.kept = dict(layer._parameters)
        for name, parameter in self.kept.items():
            if parameter is not None:
                present = parameter.detach().to(device, copy=self.on_host, non_blocking=True)
                layer._parameters[name] = self._widen(present) if present.dtype == EIGHT_BIT else present

    def _widen(self, weight: Tensor) -> Tensor:
        return weight.to(self.dtype) * self.scale.to(self.dtype)  # left where it is: the host would wait for a copy

    def _put_back(self, layer: nn.Module, *_: object) -> None:
        layer._parameters.update(self.kept)


def store_weights(module: nn.Module, *, eight_bit: bool = False, on_host: bool = False) -> list[StoredWeights]:
    """Store the weights of all frozen layers within a module; adapters and what else is trained stay as they are."""
    return [StoredWeights(layer, eight_bit=eight_bit, on_host=on_host) for layer in _frozen_layers(module)]


def _frozen_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers whose weights may be stored; where a weight is worked out from others (`parametrize`), none is.

    Such weights are no parameters of the layer, so that nothing would bring them back in.
    """
    for name, layer in module.named_modules():
        trained = any(parameter.requires_grad for parameter in layer.parameters())
        if isinstance(layer, LAYERS) and "weight" in layer._parameters and not trained and "lora_" not in name:
            yield layer
