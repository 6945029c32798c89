"""Several clients' LoRA weights in one model: rows come client after client, and each client's meet its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StackedFactor(nn.Module):
    """Takes the place of one factor, A or B, of a LoRA layer; `weight` is (clients, *shape of the factor's)."""

    weight: Tensor
    clips: Sequence[int]

    def __init__(self, factor: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.shape = factor.weight.shape
        self.geometry = {} if len(self.shape) == 2 else {"stride": factor.stride, "padding": factor.padding}

    def forward(self, x: Tensor) -> Tensor:
        """Apply each client's weight to its rows: those of its clips, (rows, ..., in) or (rows, in, h, w)."""
        if len(set(self.clips)) == 1:
            return self._linear(x) if len(self.shape) == 2 else self._convolution(x)
        rows = [len(x) // sum(self.clips) * clips for clips in self.clips]
        apply = F.linear if len(self.shape) == 2 else F.conv2d
        parts = zip(x.split(rows), self.weight, strict=True)
        return torch.cat([apply(part, weight, **self.geometry) for part, weight in parts])

    def _linear(self, x: Tensor) -> Tensor:
        grouped = x.reshape(len(self.weight), -1, x.shape[-1]) @ self.weight.mT
        return grouped.view(*x.shape[:-1], -1)

    def _convolution(self, x: Tensor) -> Tensor:
        """Convolve with clients as groups of channels, which makes one convolution of them."""
        clients = len(self.weight)
        side_by_side = x.unflatten(0, (clients, -1)).transpose(0, 1).flatten(1, 2)
        made = F.conv2d(side_by_side, self.weight.flatten(0, 1), groups=clients, **self.geometry)
        return made.unflatten(1, (clients, -1)).transpose(0, 1).flatten(0, 1)


class StackedAdapters:
    """One adapter of several clients at once.

    Args:
        carriers: The models that hold the adapter; every layer of it must get its rows clip by clip.
        parameters: What clients train of the adapter, in the order of their vectors.

    Raises:
        ValueError: If something else than LoRA factors is trained.
    """

    def __init__(self, carriers: nn.Module, parameters: Sequence[nn.Parameter]) -> None:
        trained = {id(parameter) for parameter in parameters}
        owners = {
            id(child.weight): (parent, name, child)
            for parent in carriers.modules()
            for name, child in parent.named_children()
            if isinstance(child, (nn.Linear, nn.Conv2d)) and child.bias is None
        }
        if not trained <= owners.keys():
            raise ValueError("Only LoRA factors, without biases, can be trained for several clients at once.")
        self.places = [owners[id(parameter)] for parameter in parameters]
        self.factors = [StackedFactor(child) for *_, child in self.places]

    @contextmanager
    def put(self, vectors: Tensor, clips: Sequence[int]) -> Iterator[None]:
        """Put clients' vectors (clients, d) in the place of the one client's weights, until the end of the context.

        Args:
            vectors: Gradients flow back to them.
            clips: Number of clips in each client's part of the batch.
        """
        pieces = vectors.split([factor.shape.numel() for factor in self.factors], dim=1)
        for (parent, name, _), factor, piece in zip(self.places, self.factors, pieces, strict=True):
            factor.weight = piece.unflatten(1, factor.shape)
            factor.clips = clips
            setattr(parent, name, factor)
        try:
            yield
        finally:
            for (parent, name, child), factor in zip(self.places, self.factors, strict=True):
                setattr(parent, name, child)
                del factor.weight  # and with it the graph of the step
