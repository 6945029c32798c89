"""Where people's recordings lie: `DIR/<person>/<clip>.mp4`, or in another container."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

SUFFIXES = (".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".mpg", ".mpeg", ".mts", ".m2ts")
"""Of recordings, in lower case."""

OURS = (".safetensors", ".partial")
"""Suffixes of what we write beside recordings: the truth about demo people, and encodings."""

NAMED = 10
"""Most files of a folder that a warning names."""

log = logging.getLogger(__name__)


def find_recordings(root: str | Path, people: Collection[str] | None = None) -> dict[str, list[Path]]:
    """Return each person's recordings, people and files in the order of their names.

    Args:
        root: The folder.
        people: Whose recordings are wanted; None is everyone's.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder holds no recording, or none of someone of `people`.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"A folder with one folder of clips per person is needed. Got {root}, which is none.")
    found = {}
    for folder in _list_visible(root):
        if folder.is_dir() and (files := [path for path in _list_visible(folder) if _is_recording(path)]):
            found[folder.name] = files
    if not found:
        raise ValueError(f"A folder of people must hold <person>/<clip> ({', '.join(SUFFIXES)}). Got none in {root}.")
    if unknown := sorted(set(people or ()) - found.keys()):
        raise ValueError(f"`--data.people` must have recordings in {root}. Got {', '.join(unknown)}, who have none.")
    return {person: files for person, files in found.items() if people is None or person in people}


def warn_of_others(root: str | Path, people: Collection[str] | None = None) -> None:
    """Name what is passed over: other files and folders in people's folders, and recordings in no person's folder.

    Args:
        root: The folder.
        people: Whose folders are searched; None searches everyone's.
    """
    entries = _list_visible(Path(root))
    for folder in [path for path in entries if path.is_dir() and (people is None or path.name in people)]:
        others = [path for path in _list_visible(folder) if not _is_recording(path) and path.suffix not in OURS]
        _warn(folder, [path for path in others if path.is_file()], f"no recordings ({', '.join(SUFFIXES)})")
        _warn(folder, [path for path in others if path.is_dir() and _holds_recordings(path)], "a folder in a person's")
    _warn(Path(root), [path for path in entries if _is_recording(path)], "in no person's folder")


def _warn(folder: Path, files: list[Path], reason: str) -> None:
    if files:
        names = ", ".join(path.name for path in files[:NAMED])
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        log.warning("Left out of %s as %s: %s%s.", folder, reason, names, more)


def _list_visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _holds_recordings(folder: Path) -> bool:
    return any(_is_recording(path) for path in _list_visible(folder))


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
