"""Flags have one name inside; bugs keep their traceback."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from commandline import Seed, end_on_signals, rename_flags, run_command, tensorboard_command

ALIASES = {"driven_audio": "driving_audio"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--driven_audio", "a"], ["--driving_audio", "a"]),
        (["--driven-audio=a-b=c"], ["--driving_audio=a-b=c"]),
        (["--some-flag", "--"], ["--some_flag", "--"]),
        (["driven_audio", "-h", "a-b"], ["driven_audio", "-h", "a-b"]),
    ],
)
def test_flags_are_renamed_and_values_are_not(given, meant):
    assert rename_flags(given, ALIASES) == meant


def test_the_command_gets_typed_flags(capsys):
    def add(left: int, right: int = 1) -> None:
        print(left + right)

    assert run_command(add, argv=["--left", "3"]) == 0
    assert capsys.readouterr().out == "4\n"


@pytest.mark.parametrize(("seed", "code"), [(0, 0), (2**63 - 1, 0), (-1, 2), (2**63, 2), (0.5, 2)])
def test_a_seed_is_what_every_generator_takes(capsys, seed, code):
    def draw(seed: Seed) -> None:
        torch.Generator().manual_seed(seed)
        np.random.SeedSequence([seed])

    assert run_command(draw, argv=["--seed", str(seed)]) == code
    assert ("seed" in capsys.readouterr().err) == bool(code)


def test_the_command_that_shows_events_can_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (os.environ["PATH"], ""):  # a virtual environment that is not active has its commands on no path
        monkeypatch.setenv("PATH", path)
        program, *rest = tensorboard_command(Path("run")).split()
        assert shutil.which(program) or Path(program).is_file()
        assert rest == ["--logdir", "run"]


def test_what_the_user_can_mend_is_one_line(capsys):
    def fail(text: str) -> None:
        raise ValueError(f"`--text` must be\nshort. Got {text}.")

    assert run_command(fail, argv=["--text", "long"]) == 2
    assert capsys.readouterr().err.endswith(": `--text` must be short. Got long.\n")


def test_what_safetensors_cannot_read_or_write_is_one_line(capsys, tmp_path):
    def save() -> None:
        save_file({"x": torch.zeros(1)}, tmp_path / "nowhere" / "x.safetensors")

    assert run_command(save, argv=[]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bug_keeps_its_traceback():
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_command(fail, argv=[])


def test_who_is_told_to_ignore_a_closed_terminal_does(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr("commandline.ENDINGS", (signal.SIGHUP,))
        end_on_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
