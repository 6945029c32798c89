"""What every clone must hold: its papers, configs that say how to run them, and no trace of where it was made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
WRITTEN = {".py", ".md", ".yaml", ".json", ".toml", ".txt", ".html", ".css", ""}
MADE_LATER = {".venv", ".git", "data", "runs", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"}
MACHINE_PATH = re.compile(r"(?<![\w.}>])/(home|root|Users|tmp|work|mnt|media|scratch)/\w|\b[A-Z]:\\\\?Users")
LARGEST_BASE = 12 * 2**20
"""Bytes of all weights that ship: what `generate` and `evaluate` need."""


def written_files() -> list[Path]:
    """Return the text files of the repository, without what installation and runs leave."""
    tops = [path for path in ROOT.iterdir() if path.name not in MADE_LATER]
    paths = [file for top in tops for file in ([top] if top.is_file() else top.rglob("*"))]
    return [p for p in paths if p.is_file() and p.suffix in WRITTEN and not MADE_LATER & set(p.parts)]


def named_machine_paths(text: str) -> list[str]:
    """Return the parts of a text that name a path of one machine."""
    return [match.group() for match in MACHINE_PATH.finditer(text)]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"])
def test_papers_are_there(name):
    assert (ROOT / name).stat().st_size > 500


def test_the_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_opens_with_its_command(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("#")
    assert f"--config {path.relative_to(ROOT).as_posix()}" in first
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_no_file_names_a_path_of_one_machine():
    found = {path.relative_to(ROOT).as_posix(): named_machine_paths(path.read_text()) for path in written_files()}
    assert not {path: names for path, names in found.items() if names}


def test_the_check_sees_such_paths():
    assert len(written_files()) > 50
    assert named_machine_paths("cd " + "/home" + "/ann/clips") == ["/home" + "/a"]
    assert not named_machine_paths("my/home/clips, https://example.org/work/x")


def test_what_ships_is_small():
    shipped = [path for part in ("base", "judges") for path in (ROOT / "assets" / part).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in shipped) <= LARGEST_BASE


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_parse(name):
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-r ")]
    assert len({requirement.name for requirement in requirements}) == len(requirements) > 0


def test_requirements_name_versions_but_no_index():
    text = (ROOT / "requirements.txt").read_text()
    assert "torch==2.13.0\n" in text
    for name in ("requirements.txt", "requirements-dev.txt", "Makefile", ".ci/run"):
        assert not re.search(r"--(extra-)?index-url|--find-links", (ROOT / name).read_text()), name
    decord = next(Requirement(line) for line in text.splitlines() if line.startswith("decord"))
    mac = {"sys_platform": "darwin", "platform_machine": "arm64"}
    assert decord.marker is not None
    assert not decord.marker.evaluate(mac)
    assert decord.marker.evaluate({"sys_platform": "linux", "platform_machine": "x86_64"})


def test_the_makefile_explains_its_commands():
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None
    for target in phony.group(1).split():
        assert re.search(rf"^{target}:.*## \S", text, re.MULTILINE), f"`make {target}` has no help."


def test_the_structure_page_is_up_to_date():
    made = subprocess.run([sys.executable, "docs/structure.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    written = (ROOT / "docs" / "structure.md").read_text()
    assert written == made.stdout, "Files or their first lines have changed: run `make structure`."
    assert "train.py" in written
    assert "shamir.py" in written


def test_the_readme_names_every_package():
    tree = (ROOT / "README.md").read_text()
    packages = [file.parent.name for file in ROOT.glob("[!.]*/**/__init__.py") if "tests" not in file.parts]
    assert len(packages) > 5
    assert not [name for name in packages if f"{name}/" not in tree]
