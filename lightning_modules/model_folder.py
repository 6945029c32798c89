"""The folder of a base model: what it is known by, and what it may take the place of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

BASE_FILE = "backbone.json"
"""The file by which a folder is known as a base model."""


def fingerprint(folder: str | Path) -> str:
    """Return the SHA-256 of a base model's weights and configs; adapters name the base they belong to by it.

    What merely describes the model (its card, the log of its training) does not count.
    """
    folder = Path(folder)
    digest = hashlib.sha256()
    for path in [folder / BASE_FILE, *sorted(folder.glob("*/*"))]:
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                while chunk := file.read(2**24):  # a denoiser of gigabytes need not be in memory twice
                    digest.update(chunk)
    return digest.hexdigest()


def hash_weights(*modules: nn.Module) -> str:
    """Return the SHA-256 of modules' weights."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def demand_replaceable(folder: str | Path, mark: str) -> None:
    """Raise ValueError unless a folder is new, empty, or of the kind that takes its place, known by a file `mark`."""
    folder = Path(folder)
    if folder.exists() and not (folder / mark).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ValueError(
            f"`--out` is replaced whole, so it must be new or hold {mark}. Got {folder}, which is neither."
        )
