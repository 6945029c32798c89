"""Frames that wait on the disk until they are scored: those of all systems together may be more than memory holds."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

import torch
from torch import Tensor


def to_disk(frames: Tensor, folder: Path) -> Tensor:
    """Return the same uint8 frames, mapped from a file in `folder` that is removed at once and gone with the tensor.

    Raises:
        OSError: If the disk is full.
    """
    if not frames.numel():  # nothing cannot be mapped
        return frames
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder) as file:
        file.write(frames.contiguous().numpy())
        file.flush()
        # By torch: Python's own mapping would hold an open file each, of which a process may have a thousand.
        return torch.from_file(file.name, shared=True, size=frames.numel(), dtype=torch.uint8).view(frames.shape)
