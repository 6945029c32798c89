"""Weights on disk: read whole, or one line says which file is broken."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut short, or something else: safetensors' own error is neither, and names no file.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is broken: {error}. Copy or make it anew.") from error
