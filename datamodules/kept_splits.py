"""Which clips a run trains on and which it holds out, on disk: recordings may change before it goes on or is scored."""

from __future__ import annotations

import json
from pathlib import Path

from datamodules.clients import ClientDataModule
from datamodules.first_device import is_first_device
from datamodules.reading.splitting import SPLITS
from whole_files import save_text

FILE = Path("local", "splits.json")
"""In the folder of a run. It names recordings, and so is as private as they are."""

Splits = dict[str, dict[str, str]]
"""By person: the split of each clip, by its `source`."""


def keep_splits(run: Path, data: ClientDataModule, *, goes_on: bool) -> None:
    """Write down a run's splits; in one that goes on, clips keep what they had, and those that are new are trained on.

    Without that, a recording that is added or gone would move others from one split to another, and clips that were
    trained on would be scored. Further devices take what the first has written.

    Raises:
        ValueError: If the file is broken, or a person has nothing left to train on.
    """
    kept = read_splits(run) if goes_on or not is_first_device() else {}
    data.assign(kept)
    if is_first_device():
        now = list_splits(data)
        merged = {person: kept.get(person, {}) | now.get(person, {}) for person in kept | now}
        save_text(run / FILE, json.dumps(merged, indent=1, ensure_ascii=False) + "\n")


def list_splits(data: ClientDataModule) -> Splits:
    """Return the split of each clip there is."""
    return {
        person: {clip.source: split for split, clips in splits.items() for clip in clips}
        for person, splits in data.splits_by_person.items()
    }


def read_splits(run: Path) -> Splits:
    """Return what a run has written down, nothing where that is nothing.

    Raises:
        ValueError: If it is something else.
    """
    path = run / FILE
    if not path.is_file():
        return {}
    try:
        splits = json.loads(path.read_text())
        unknown = {split for clips in splits.values() for split in clips.values()} - set(SPLITS)
    except (ValueError, AttributeError):
        unknown = {"something else"}
    if unknown:
        raise ValueError(f"{path} must hold train, val or test for every clip. Got {', '.join(map(str, unknown))}.")
    return splits
