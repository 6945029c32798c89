"""Where people's recordings lie: `DIR/<person>/<clip>.{mp4,mov,mpg,avi,webm}`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

SUFFIXES = (".mp4", ".mov", ".mpg", ".avi", ".webm")


def find_recordings(root: str | Path, people: Collection[str] | None = None) -> dict[str, list[Path]]:
    """Return each person's recordings, people and files in the order of their names.

    Args:
        root: the folder.
        people: whose recordings are wanted; None is everyone's.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder holds no recording, or none of someone of `people`.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"`--data.root` must be a folder with one folder of clips per person. Got {root}.")
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
        if files := sorted(path for path in files if not path.name.startswith(".")):
            found[folder.name] = files
    if not found:
        raise ValueError(f"`--data.root` must hold <person>/<clip>{{{','.join(SUFFIXES)}}}. Got none in {root}.")
    if unknown := sorted(set(people or ()) - found.keys()):
        raise ValueError(f"`--data.people` must have recordings in {root}. Got {', '.join(unknown)}, who have none.")
    return {person: files for person, files in found.items() if people is None or person in people}
