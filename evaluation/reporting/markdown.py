"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; floats get three decimals."""
    lines = [header, ["---"] * len(header), *[[_show(cell) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _show(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
