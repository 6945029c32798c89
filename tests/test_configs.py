"""Every config of `train.py` parses and opens with the command that runs it; others have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from train import make_parser

ROOT = Path(__file__).parent.parent
ASSEMBLED = {"sd15"}
"""Configs of `assemble.py`."""
CONFIGS = sorted(
    path for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name != "suites" and path.stem not in ASSEMBLED
)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_parses(path):
    argv = ["--config", str(path)]
    chosen = make_parser(argv).parse_args(argv)
    assert chosen.federation.rounds >= 1
    assert chosen.module.class_path.startswith("lightning_modules.")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_opens_with_its_command(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert f"python train.py --config {path.relative_to(ROOT).as_posix()}" in first


def test_there_are_the_configs_the_readme_names():
    assert {"demo", "folder", "low_memory"} <= {path.stem for path in CONFIGS}
