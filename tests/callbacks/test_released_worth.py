"""The released adapter's worth is measured on public people alone, on rank 0."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from callbacks.released_worth import ReleasedWorth
from federation.vectors import write_vector
from tests.callbacks.parts import make_state
from tests.callbacks.speakers import TinyPeople, TinySpeaker
from tests.tiny import tiny_fabric

PEOPLE = {"ann": 1.0, "bob": 2.0, "cleo": 3.0, "zoe": 9.0}


@pytest.fixture
def observer():
    return ReleasedWorth(tiny_fabric(), TinySpeaker(), TinyPeople(PEOPLE), every=2, batches=3)


def make_loading_state(observer, index=1):
    asked = []

    def load(client: str | None) -> None:
        asked.append(client)
        write_vector([observer.module.shared], torch.tensor([0.5]))
        write_vector([observer.module.personal], torch.tensor([0.0]))

    return replace(make_state(index), load_adapters=load), asked


def test_the_mean_is_over_public_people_with_a_held_out_clip(observer):
    state, asked = make_loading_state(observer)
    observer.on_round_end(state)
    assert state.metrics == pytest.approx({"released/held_out_shared": 2.5, "released/held_out_base": 3.0})
    assert asked == [None], "nobody's own adapter has a say"


def test_between_evaluations_nothing_is_measured_and_at_the_end_always(observer):
    state, _ = make_loading_state(observer, index=2)
    observer.on_round_end(state)
    assert not state.metrics
    observer.on_run_end(state)
    assert len(state.metrics) == 2


def test_other_devices_leave_it_to_the_first(observer):
    state, asked = make_loading_state(observer)
    state = replace(state, is_main=False)
    observer.on_run_end(state)
    assert not state.metrics
    assert not asked
