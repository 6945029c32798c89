"""What a user reads where Flower is missing, knows no such SuperLink, or cannot reach it."""

from __future__ import annotations

import sys

import pytest

from federation.flower import launch
from federation.flower.launch import ask_superlink, demand_connection, run_relay, write_connection

BOX = """\
╭─ Error ──────────────────────────────╮
│ Connection to the SuperLink is        │
│ unavailable. Check its 'address'.     │
╰──────────────────────────────────────╯
"""
REFUSAL = f"import sys; print('Using SuperLink: loop'); print({BOX!r}, file=sys.stderr); sys.exit(1)"


@pytest.fixture
def python(monkeypatch):
    """Put Python in the place of Flower's command."""
    monkeypatch.setattr(launch, "flower_command", lambda name: sys.executable)


def test_what_flower_says_is_one_line_without_its_frame(python):
    said = "Connection to the SuperLink is unavailable. Check its 'address'."
    with pytest.raises(ConnectionError) as error:
        ask_superlink("loop", "register ann", ["-c", REFUSAL], {})
    assert str(error.value) == f"The SuperLink loop must register ann. It said: {said}"


def test_a_superlink_that_never_answers_is_not_waited_for(python, monkeypatch):
    monkeypatch.setattr(launch, "SECONDS", 0.2)
    with pytest.raises(ConnectionError, match=r"did not answer within 0\.2 seconds"):
        ask_superlink("loop", "register ann", ["-c", "import time; time.sleep(600)"], {})


def test_a_superlink_that_is_named_is_found(python, tmp_path):
    write_connection(tmp_path, "loop", "127.0.0.1:1", None)
    demand_connection(tmp_path, "loop")


@pytest.mark.parametrize("text", [None, "", "superlink = 3", "[superlink]\ndefault = 'loop'", "[superlink.loops]", "["])
def test_a_superlink_that_is_not_named_is_one_line(python, tmp_path, text):
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.toml must have a section \[superlink\.loop\]"):
        demand_connection(tmp_path, "loop")


def test_without_flower_it_is_said_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError, match="Install Flower: pip install -r requirements-flower"):
        demand_connection(tmp_path, "loop")
    with pytest.raises(FileNotFoundError, match="Install Flower"):
        run_relay(tmp_path, "loop", tmp_path / "socket")
