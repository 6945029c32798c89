from __future__ import annotations

import logging

import pytest

from datamodules.progress_bar import progress_bar


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("datamodules.progress_bar.PATIENCE", 0.0)


def test_work_that_is_soon_done_needs_no_bar(capsys):
    assert list(progress_bar("abc", "reading", 3)) == ["a", "b", "c"]
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_a_bar_says_what_is_done_and_how_much_is_left(capsys):
    assert list(progress_bar("abc", "reading", 3)) == ["a", "b", "c"]
    assert "reading: 100%" in (said := capsys.readouterr().err)
    assert "3/3" in said


@pytest.mark.usefixtures("impatient")
def test_further_devices_of_a_run_have_no_bar(capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert list(progress_bar("abc", "reading", 3)) == ["a", "b", "c"]
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_warnings_on_the_way_have_lines_of_their_own(capsys):
    for letter in progress_bar("ab", "reading", 2):
        logging.getLogger("datamodules.reading.frames").warning("%s is left out.", letter)
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert {"a is left out.", "b is left out."} <= set(lines)
