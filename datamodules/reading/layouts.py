"""Where people's recordings lie: `DIR/<person>/<clip>.mp4`, or in another container."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

SUFFIXES = (".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".mts", ".m2ts")
"""Of recordings, in lower case."""

OURS = (".safetensors", ".partial")
"""Suffixes of what we write beside recordings: the truth about demo people, and encodings."""

BREAKING = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, of what stands for bytes that are no UTF-8, and of line separators."""

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
    for folder in [path for path in _list_visible(root) if path.is_dir()]:
        if files := [path for path in _list_readable(folder) if _is_recording(path)]:
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
    _say_unprintable(Path(root))
    for folder in [path for path in entries if path.is_dir() and (people is None or path.name in people)]:
        if not os.access(folder, os.R_OK | os.X_OK):
            log.warning("%s is left out: it may not be read.", folder)
            continue
        _say_unprintable(folder)
        others = [path for path in _list_readable(folder) if not _is_recording(path) and path.suffix not in OURS]
        _warn(folder, [path for path in others if path.is_file()], f"no recordings ({', '.join(SUFFIXES)})")
        _warn(folder, [path for path in others if path.is_dir() and _holds_recordings(path)], "a folder in a person's")
    _warn(Path(root), [path for path in entries if _is_recording(path)], "in no person's folder")


def _warn(folder: Path, files: list[Path], reason: str) -> None:
    if files:
        names = ", ".join(path.name for path in files[:NAMED])
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        log.warning("Left out of %s as %s: %s%s.", folder, reason, names, more)


def _say_unprintable(folder: Path) -> None:
    """Name, in letters that can be shown, what is passed over as its name could stand in no line and no file."""
    for path in sorted(folder.iterdir()):
        if not _can_be_shown(path):
            log.warning("%s is left out: its name cannot be shown. Rename it.", ascii(str(path)))


def _list_visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and _can_be_shown(path))


def _can_be_shown(path: Path) -> bool:
    """Whether a name has neither control characters, line breaks among them, nor bytes that are no letters."""
    return not any(unicodedata.category(letter) in BREAKING for letter in path.name)


def _list_readable(folder: Path) -> list[Path]:
    """Return what is in a folder, nothing where it may not be read, as `lost+found` of a disk."""
    try:
        return _list_visible(folder)
    except PermissionError:
        return []


def _holds_recordings(folder: Path) -> bool:
    return any(_is_recording(path) for path in _list_readable(folder))


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
