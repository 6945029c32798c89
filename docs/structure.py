"""Prints docs/structure.md: every file with the first line of its docstring. `make structure` writes it anew."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("federation", "callbacks", "lightning_modules", "datamodules", "evaluation", "deploy", "benchmarks")
OPENING = """\
# Structure

Every file, by the first line of its docstring; `make structure` writes this page. Reading order: `train.py`,
`pipeline.py`, `federation/hooks.py`, `federation/update.py`, `federation/rounds.py`, `federation/local_cohort.py`,
`federation/client_training.py`, `callbacks/`, then what you want to change.
"""


def list_files(folder: Path) -> str:
    """Return a code block with the Python files of one folder, or an empty text if it has none."""
    files = [file for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"]
    width = max((len(file.name) for file in files), default=0)
    lines = [f"{file.name:{width}}  {first_line(file)}" for file in files]
    return "\n".join(["```", *lines, "```"]) if lines else ""


def first_line(file: Path) -> str:
    """Return what a file says about itself, without the command that runs it and without the full stop."""
    said = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].replace("\n", " ")
    return said.split(": `python")[0].removesuffix(".")


def describe() -> str:
    """Return the whole page."""
    parts = [OPENING, "## Commands\n", list_files(ROOT)]
    for package in PACKAGES:
        for folder in (ROOT / package, *sorted(path for path in (ROOT / package).rglob("*") if path.is_dir())):
            if files := list_files(folder):
                parts += [f"\n## {folder.relative_to(ROOT).as_posix()}/\n", files]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(describe() + "\n")
