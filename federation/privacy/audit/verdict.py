"""What a check says: a figure, the bound it had to keep, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SIGNS = {"at most": "<=", "at least": ">="}


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check; a figure that is not a number keeps no bound."""

    check: str
    """What was checked, as a statement that holds if it passed."""
    figure: float
    side: Literal["at most", "at least"]
    bound: float
    detail: str = ""
    """What was done, or what was found."""

    @property
    def passed(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.figure <= self.bound if self.side == "at most" else self.figure >= self.bound

    def __str__(self) -> str:
        """Return the verdict in one line."""
        sign = SIGNS[self.side]
        return f"{'pass' if self.passed else 'FAIL'}  {self.check}: {self.figure:.4g} {sign} {self.bound:.4g}"


def at_most(check: str, figure: float, bound: float, detail: str = "") -> Verdict:
    """Return a verdict that passes if the figure does not exceed the bound."""
    return Verdict(check, float(figure), "at most", float(bound), detail)


def at_least(check: str, figure: float, bound: float, detail: str = "") -> Verdict:
    """Return a verdict that passes if the figure reaches the bound."""
    return Verdict(check, float(figure), "at least", float(bound), detail)


def none_of(check: str, offences: list[str], detail: str = "") -> Verdict:
    """Return a verdict on a list that must be empty; its first entries are the detail."""
    shown = "; ".join(offences[:3]) + ("; ..." if len(offences) > 3 else "")
    return Verdict(check, float(len(offences)), "at most", 0.0, shown or detail)
