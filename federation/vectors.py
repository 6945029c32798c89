"""The shared parameters as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter


def vector_length(parameters: Sequence[Parameter]) -> int:
    """Return the length d of their vector."""
    return sum(parameter.numel() for parameter in parameters)


def read_vector(parameters: Sequence[Parameter]) -> Tensor:
    """Return a copy of the parameters' values on the CPU, shape (d,), in their own type; a run's are float32."""
    return torch.cat([parameter.detach().cpu().flatten() for parameter in parameters])


@torch.no_grad()
def write_vector(parameters: Sequence[Parameter], vector: Tensor) -> None:
    """Copy a vector of shape (d,) into the parameters."""
    values = vector.split([parameter.numel() for parameter in parameters])
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value.view_as(parameter))
