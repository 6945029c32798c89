"""A personal adapter outlives its session, and is never loaded into what it does not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from federation.client_states import ClientState
from federation.deployment.personal_states import PersonalStates, list_rounds
from federation.secure_aggregation.session import Session
from tests.federation.secure_aggregation.parties import make_session, plan
from tests.tiny import TinyModule

NEWCOMER = -1.0


def make_module(width: int = 4, base: float = 0.0) -> TinyModule:
    module = TinyModule(width=width)
    torch.nn.init.constant_(module.base.weight, base)
    torch.nn.init.constant_(module.base.bias, base)
    torch.nn.init.constant_(module.personal.weight, NEWCOMER)
    return module


def make_nth_session(number: int) -> Session:
    return make_session(plan(), nonce=bytes([number]) * 32)


def open_states(home: Path, session: int = 0, **module: float) -> PersonalStates:
    return PersonalStates.of(home / "states", make_module(**module), make_nth_session(session))


def keep(states: PersonalStates, *rounds: int, value: float = 0.0) -> None:
    """Train in these rounds, by index; a state holds a value and its round."""
    for index in rounds:
        states.keep(index, ClientState([torch.full((4, 4), value + index)]))


def begins_with(states: PersonalStates, index: int) -> float:
    return states.before(index).personal[0].flatten()[0].item()


def numbers(states: PersonalStates) -> list[int]:
    return [number for number, _ in list_rounds(states.folder)]


def test_a_session_that_begins_keeps_its_own_and_touches_no_others(tmp_path):
    first = open_states(tmp_path)
    keep(first, *range(5))
    second = open_states(tmp_path, session=1)
    assert begins_with(second, 0) == NEWCOMER
    keep(second, 0, value=10.0)
    assert begins_with(second, 1) == 10.0
    assert (numbers(first), numbers(second)) == ([4, 5], [1])
    assert (first.newest().personal[0][0, 0], second.newest().personal[0][0, 0]) == (4.0, 10.0)


def test_a_session_that_goes_on_with_a_run_goes_on_with_its_adapter(tmp_path, caplog):
    keep(open_states(tmp_path), 3, 4)
    second = open_states(tmp_path, session=1)
    for _ in range(2):  # a round that is tried again starts where it started
        assert begins_with(second, 5) == 4.0
        keep(second, 5, value=10.0)
    assert "goes on with the personal adapter in" in caplog.text
    assert begins_with(second, 6) == 15.0


def test_of_several_sessions_the_one_trained_in_last_is_gone_on_with(tmp_path):
    for session, written in ((1, 2000), (2, 3000), (3, 1000)):
        states = open_states(tmp_path, session=session)
        keep(states, 3, value=100.0 * session)
        os.utime(states.folder / "round_0004.safetensors", (written, written))
    assert begins_with(open_states(tmp_path, session=4), 9) == 203.0


@pytest.mark.parametrize("other", [{"base": 1.0}, {"width": 6}], ids=["base", "shapes"])
def test_what_does_not_fit_is_not_loaded_and_stays(tmp_path, other):
    first = open_states(tmp_path)
    keep(first, 3, 4)
    second = open_states(tmp_path, session=1, **other)
    assert begins_with(second, 7) == NEWCOMER
    assert numbers(first) == [4, 5]
    with pytest.raises(FileNotFoundError, match="must hold a personal adapter"):
        second.newest()


def test_rounds_are_in_order_beyond_four_digits_and_a_lost_future_stays(tmp_path):
    states = open_states(tmp_path)
    keep(states, 9997, 9998, 9999)
    assert numbers(states) == [9999, 10000]
    keep(states, 7)
    assert (numbers(states), begins_with(states, 8)) == ([8, 9999, 10000], 7.0)
