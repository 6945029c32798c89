"""Which folders hold demo people, and who is in each: they are drawn when a command asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datamodules.demo.seeds import HELD_OUT_SEEDS, PRIVATE_SEEDS, PUBLIC_SEEDS

PUBLIC, HELD_OUT = "data/public", "data/held_out"
"""Whom base model and judges are trained on, and whom they are scored with."""
DEMO_CLIENTS, DEMO_PUBLIC = "data/demo/clients", "data/demo/public"
"""The clients of a run, and who is shown in what it releases."""


@dataclass(frozen=True)
class DemoFolder:
    """Who is in a folder of demo people."""

    seeds: range
    clips_per_person: int | None = None
    """None is 2 of public people and 3 to 8, unequal, of clients."""


DEMO_FOLDERS = {
    PUBLIC: DemoFolder(PUBLIC_SEEDS),
    HELD_OUT: DemoFolder(HELD_OUT_SEEDS, clips_per_person=4),
    DEMO_CLIENTS: DemoFolder(PRIVATE_SEEDS),
    DEMO_PUBLIC: DemoFolder(HELD_OUT_SEEDS[:1]),
}


def fill_demo_folder(folder: str, size: int = 64, processes: int = 1, people: int | None = None) -> None:
    """Draw and speak the demo people of one of `DEMO_FOLDERS`, or the first of them; clips that are there are kept."""
    from datamodules.demo.people import make_demo_people

    who = DEMO_FOLDERS[folder]
    make_demo_people(folder, who.seeds[:people], who.clips_per_person, size, processes)


def fill_if_demo(root: str | Path, size: int, processes: int) -> None:
    """Draw and speak the demo people of a run's folders; how many public ones stage 0 learns from is for it to say."""
    if (folder := Path(root).as_posix()) in (DEMO_CLIENTS, DEMO_PUBLIC):
        fill_demo_folder(folder, size, processes)
