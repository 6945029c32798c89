"""Folders of demo people are filled with those who are in them, and no others are touched."""

from __future__ import annotations

import pytest

from datamodules.demo import people
from datamodules.demo.folders import DEMO_CLIENTS, DEMO_PUBLIC, HELD_OUT, PUBLIC, fill_demo_folder, fill_if_demo
from datamodules.demo.seeds import HELD_OUT_SEEDS, PRIVATE_SEEDS, PUBLIC_SEEDS


@pytest.fixture
def drawn(monkeypatch) -> list[tuple]:
    """Return what is asked to be drawn."""
    drawn: list[tuple] = []
    monkeypatch.setattr(people, "make_demo_people", lambda *asked: drawn.append(asked))
    return drawn


def test_stage_zero_says_how_many_public_people_there_are(drawn):
    fill_demo_folder(PUBLIC, processes=2, people=600)
    fill_demo_folder(HELD_OUT)
    assert drawn == [(PUBLIC, PUBLIC_SEEDS[:600], None, 64, 2), (HELD_OUT, HELD_OUT_SEEDS, 4, 64, 1)]


def test_a_run_fills_its_own_folders_and_no_others(drawn, tmp_path):
    for folder in (f"{DEMO_CLIENTS}/", DEMO_PUBLIC, PUBLIC, HELD_OUT, tmp_path):
        fill_if_demo(folder, size=96, processes=2)
    assert drawn == [(DEMO_CLIENTS, PRIVATE_SEEDS, None, 96, 2), (DEMO_PUBLIC, HELD_OUT_SEEDS[:1], None, 96, 2)]
