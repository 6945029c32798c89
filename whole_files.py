"""Files and folders that are never half-written, and are on disk before anything depends on them."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which takes the name of the file at the end of the block.

    Its folder is made if it is missing. An error in the block leaves the file as it was. Several processes may write
    the same file: the last one's stands.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes in containers may have the same number, and a name may be as long as the file system takes.
    partial = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which takes the place of another at the end of the block.

    An error in the block leaves the older folder as it was.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_folder(new: Path, folder: Path) -> None:
    """Put a finished folder in place of an older one."""
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)  # of a replacement that was cut short
    for path in new.rglob("*"):
        sync(path)
    if folder.exists():
        folder.rename(old)
    put_in_place(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def save_text(path: Path, text: str) -> Path:
    """Write a whole file and return its path."""
    with whole_file(path) as partial:
        partial.write_text(text)
    return path


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
