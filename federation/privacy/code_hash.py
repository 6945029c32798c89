"""Which code made a promise: one hash over its sources, so that a card can be held against a checkout."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISING = (
    *("federation", "callbacks", "device.py", "device_home.py", "device_training.py", "launching.py", "pipeline.py"),
    *("remote_training.py", "settings.py", "train.py", "whole_files.py"),
)
"""Whatever touches an update between a client's training and the released adapter."""


def hash_sources(root: Path = ROOT) -> str:
    """Return the SHA-256 over the Python files of `PROMISING`, by name and content, hexadecimal.

    Two checkouts with the same sources have the same hash, wherever they lie. It says nothing of the installed
    packages, and a program can print what it likes: the hash is for those who ran the code themselves.
    """
    whole = hashlib.sha256()
    tops = [root / name for name in PROMISING]
    for path in sorted(file for top in tops for file in ([top] if top.is_file() else top.rglob("*.py"))):
        for part in (path.relative_to(root).as_posix().encode(), path.read_bytes().replace(b"\r\n", b"\n")):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()
