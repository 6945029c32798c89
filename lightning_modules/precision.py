"""Where 16 bits are too few, whatever a model is stored in."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return a tensor in float32, or as it is if it is finer still."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
