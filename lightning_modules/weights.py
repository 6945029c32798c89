"""Weights on disk: read whole, or one line says which file is broken."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = "diffusion_pytorch_model.safetensors"
"""diffusers' name of a network's weights in its folder."""


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


def fill(network: nn.Module, folder: Path) -> None:
    """Give a network its weights, in the types that it has.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If they are broken, or some are missing or unexpected (diffusers would go on with a warning).
    """
    path = folder / WEIGHTS
    try:
        network.load_state_dict(read_weights(path))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()[:200].rstrip(".")  # a model has thousands of names
        raise ValueError(f"{path} does not fit its config: {first}. Use weights and config of one model.") from error
