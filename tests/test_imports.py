"""Imports point one way: the parts know nothing of each other, callbacks know the federation, scripts know all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "federation": {"federation", "commandline"},  # it holds two commands: the plan of the noise, and the audit
    "lightning_modules": {"lightning_modules"},
    "datamodules": {"datamodules"},
    "callbacks": {"callbacks", "federation"},
    "evaluation": {"evaluation", "datamodules", "lightning_modules", "commandline", "compute"},  # it holds a command
}
LEAF = "whole_files"
"""What every part may import: it imports nothing of ours."""
OURS = {path.name for path in ROOT.iterdir() if path.is_dir()} | {path.stem for path in ROOT.glob("*.py")}


def imported(source: str) -> set[str]:
    """Return the top-level packages a source imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    for path in (ROOT / package).rglob("*.py"):
        stray = (imported(path.read_text()) & OURS) - MAY_IMPORT[package] - {LEAF}
        assert not stray, f"{path.relative_to(ROOT)} imports {', '.join(sorted(stray))}."


def test_what_every_part_imports_is_a_leaf():
    assert not imported((ROOT / f"{LEAF}.py").read_text()) & OURS


def test_the_check_sees_imports_inside_functions():
    assert imported("def f():\n    from callbacks.isfa import ISFA\n    import train as t, os.path") == {
        "callbacks",
        "train",
        "os",
    }


@pytest.mark.slow
@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_pickle_is_loaded(package):
    for path in (ROOT / package).rglob("*.py"):
        source = path.read_text()
        assert not imported(source) & {"pickle", "dill", "joblib", "shelve"}, path
        assert "torch.load(" not in source, path
