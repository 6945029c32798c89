"""Where people's recordings lie: `DIR/<person>/<clip>.{mp4,mov,mpg,avi,webm}`."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".mp4", ".mov", ".mpg", ".avi", ".webm")


def find_recordings(root: str | Path) -> dict[str, list[Path]]:
    """Return each person's recordings, people and files in the order of their names.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder holds no recording.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"`--data.root` must be a folder with one folder of clips per person. Got {root}.")
    people = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
        if files := sorted(path for path in files if not path.name.startswith(".")):
            people[folder.name] = files
    if not people:
        raise ValueError(f"`--data.root` must hold <person>/<clip>{{{','.join(SUFFIXES)}}}. Got none in {root}.")
    return people
