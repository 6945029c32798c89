"""Text files that are never half-written."""

from __future__ import annotations

from pathlib import Path


def save_text(path: Path, text: str) -> Path:
    """Write a file under a temporary name first, and its folder if it is missing; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    return partial.replace(path)
