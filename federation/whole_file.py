"""Files that are never half-written, and are on disk before anything depends on them."""

from __future__ import annotations

import os
from pathlib import Path


def save_text(path: Path, text: str) -> Path:
    """Write a file under a temporary name first, and its folder if it is missing; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    return put_in_place(partial, path)


def put_in_place(partial: Path, path: Path) -> Path:
    """Give a finished file or folder its name, and return it when content and name are on disk.

    Without that, a power cut could leave the name of a file with nothing in it. Of a folder, what lies in it must be
    on disk already.
    """
    sync(partial)
    partial.replace(path)
    sync(path.parent)
    return path


def sync(path: Path) -> None:
    """Put a file's content, or a folder's names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
