"""What a suite compares: rows of settings for `train.py`, and the question that each group of rows answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Settings = dict[str, dict[str, Any] | int | float | str | None]
"""Options of `train.py`, laid out like a config of it. Sections are typed: jsonargparse would build the class that a
`class_path` names if they were Any."""


@dataclass
class Cell:
    """One way to train: a row of a comparison, with every seed."""

    settings: Settings = field(default_factory=dict)
    """What differs from the suite's settings of `train.py`, laid out like a config of it."""
    alone: bool = False
    """Train each client by itself, as a federation of one. There is no global adapter then."""
    starts_from: str | None = None
    """Cell of the same comparison whose global adapter the shared adapter starts from."""
    against: str | None = None
    """The cell it is compared with, where that is not the comparison's."""
    note: str = ""
    """What one must know to read the row."""


@dataclass
class Comparison:
    """Rows that answer one question, each held against one of them."""

    question: str
    """What the rows shall tell."""
    against: str
    """The cell that the others are compared with, person by person and seed by seed."""
    cells: dict[str, Cell]
    """The rows, by name."""
    settings: Settings = field(default_factory=dict)
    """What all of its cells share, over the suite's settings."""
    leave_out: list[str] = field(default_factory=list)
    """People whose scores do not count here, such as those whose clips are wrong on purpose."""
    curve: str | None = None
    """Figure of the runs, e.g. released/epsilon, that the scores are also drawn over."""
    generate: bool = False
    """Whether held-out clips are generated and scored, too."""

    def __post_init__(self) -> None:
        """Refuse names of cells that are not there.

        Raises:
            ValueError: If `against` or `starts_from` names none, or one without a global adapter to start from.
        """
        named = [self.against, *(cell.against for cell in self.cells.values() if cell.against is not None)]
        if unknown := [name for name in named if name not in self.cells]:
            raise ValueError(f"`against` must be one of the cells {', '.join(self.cells)}. Got {unknown[0]!r}.")
        for name, cell in self.cells.items():
            start = self.cells.get(cell.starts_from or "")
            if cell.starts_from and (start in (None, cell) or start.alone or start.starts_from):
                raise ValueError(
                    f"`starts_from` of {name!r} must be a cell that trains a global adapter from the base. "
                    f"Got {cell.starts_from!r}."
                )

    def reference(self, cell: str) -> str | None:
        """Return the cell that one is compared with; None for one that is compared with itself."""
        reference = self.cells[cell].against or self.against
        return None if reference == cell else reference


@dataclass
class GenerationArgs:
    """How held-out clips are generated where a comparison asks for it."""

    clips: int = 1
    """Held-out clips of each person."""
    frames: int = 25
    """Frames of each clip, its middle."""
    steps: int = 10
    """Denoising steps."""
    judges: str | None = "assets/judges"
    """Folder of the networks that only score; without one, and without the network it needs, a metric is left out."""

    def __post_init__(self) -> None:
        for name in ("clips", "frames", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"`--generation.{name}` must be at least 1. Got {getattr(self, name)}.")
