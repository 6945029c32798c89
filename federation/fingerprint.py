"""What may not change under a run: all of a model that nobody trains."""

from __future__ import annotations

import hashlib
from itertools import chain

import torch

from federation.protocols import FederatedModule


def fingerprint_frozen(module: FederatedModule) -> str:
    """Return the SHA-256 of all parameters and buffers outside the two adapters."""
    adapters = {id(parameter) for parameter in chain(module.shared_parameters(), module.personal_parameters())}
    digest = hashlib.sha256()
    for name, tensor in sorted(chain(module.named_parameters(), module.named_buffers())):
        if id(tensor) not in adapters:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
