"""Privacy code draws only from its key streams."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"random", "torch", "numpy.random", "secrets"}


def generators(source: str) -> set[str]:
    """Return the generators outside the key streams that a source imports or names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and node.attr == "random":
            found.add("numpy.random")
    return {name for name in found if name in FORBIDDEN or name.split(".")[0] in FORBIDDEN or "numpy.random" in name}


@pytest.mark.parametrize("package", ["privacy", "secure_aggregation"])
def test_no_other_generator_is_used(package):
    paths = list((ROOT / "federation" / package).rglob("*.py"))
    assert paths
    for path in paths:
        assert not generators(path.read_text()), path


@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from random import choice",
        "import numpy.random",
        "from numpy import random",
        "from numpy.random import default_rng",
        "import numpy as np\nnp.random.normal()",
        "def f():\n    import torch",
        "import torch.nn",
    ],
)
def test_the_check_sees_other_generators(source):
    assert generators(source)


def test_the_operating_system_is_asked_in_one_place():
    asking = [path.name for path in (ROOT / "federation").rglob("*.py") if "urandom" in path.read_text()]
    assert asking == ["key_source.py"]
