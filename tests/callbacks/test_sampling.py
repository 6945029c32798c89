"""Coins: hidden ones change what a vector says, never what it looks like; visible ones choose the cohort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from callbacks.noise import DistributedNoise
from callbacks.sampling import HiddenSampling, VisibleSampling
from federation.hooks import FederationCallback
from federation.key_source import SeededKeys
from federation.update import ClientUpdate, RoundState
from tests.callbacks.parts import CLIENTS, make_pipeline, make_state, make_updates, send


@pytest.fixture
def sent(tmp_path):
    updates = make_updates()
    send(make_pipeline(tmp_path, sample_rate=0.5), make_state(), updates)
    return updates


def test_a_client_without_data_sends_a_vector_of_the_same_size_and_type(sent):
    assert {update.contributes for update in sent} == {True, False}
    assert {(update.wire.dtype, update.wire.shape) for update in sent} == {(np.dtype(np.uint32), (51,))}


def test_a_client_without_data_sends_zeros_and_noise_only(sent):
    absent = [update for update in sent if not update.contributes]
    assert all(not update.vector.any() for update in absent)
    assert all(update.integers.any() for update in absent), "nobody may be told from others by missing noise"


@dataclass(frozen=True)
class Sent:
    """All that others can see of a client, but for the values."""

    wires: tuple[tuple[str, int, np.dtype], ...]
    messages: tuple[tuple[tuple[str, int], ...], ...]


def contributing(updates: list[ClientUpdate]) -> None:
    pass


def training_that_failed(updates: list[ClientUpdate]) -> None:
    for update in updates:
        update.delta, update.contributes = torch.zeros_like(update.delta), False


def an_update_that_is_not_finite(updates: list[ClientUpdate]) -> None:
    for update in updates:
        update.delta[7] = float("nan")


def an_update_too_large_for_floats(updates: list[ClientUpdate]) -> None:
    for update in updates:
        update.delta[7] = float("inf")


CAUSES = [training_that_failed, an_update_that_is_not_finite, an_update_too_large_for_floats]


def send_watched(pipeline: list, updates: list[ClientUpdate]) -> Sent:
    """Take updates through the client half and return what leaves: vectors, and every message between clients."""
    state, messages = make_state(), []

    def exchange(own: dict[str, bytes]) -> dict[str, bytes]:
        messages.append(tuple((name, len(message)) for name, message in sorted(own.items())))
        return own

    state.exchange = exchange
    send(pipeline, state, updates)
    sent = [update for update in updates if update.wire is not None]
    return Sent(tuple((update.client, update.wire.nbytes, update.wire.dtype) for update in sent), tuple(messages))


@pytest.mark.slow
@pytest.mark.parametrize("adaptive", [False, True])
def test_number_size_and_type_of_what_is_sent_tell_nothing(tmp_path, adaptive):
    def watched(name: str, break_updates, rate: float) -> Sent:
        updates = make_updates()
        break_updates(updates)
        return send_watched(make_pipeline(tmp_path / name, sample_rate=rate, adaptive=adaptive), updates)

    expected = watched("all", contributing, 1.0)
    assert len(expected.wires) == len(CLIENTS)
    assert watched("none", contributing, 1e-12) == expected
    assert all(watched(cause.__name__, cause, 1.0) == expected for cause in CAUSES)


class LeavesOutWhoHasNoData(HiddenSampling):
    """The fault: a client without data sends nothing."""

    def on_cohort_ready(self, state: RoundState, updates: list[ClientUpdate]) -> None:
        updates[:] = [update for update in updates if update.contributes]
        state.clients = tuple(update.client for update in updates)


def test_the_check_sees_a_client_that_stays_silent(tmp_path):
    pipeline = make_pipeline(tmp_path, sample_rate=0.5)
    faulty = [LeavesOutWhoHasNoData(s.keys, 0.5) if isinstance(s, HiddenSampling) else s for s in pipeline]
    assert send_watched(faulty, make_updates()) != send_watched(make_pipeline(tmp_path / "true"), make_updates())


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("adaptive", [False, True])
def test_what_fails_becomes_zeros_that_get_noise_like_any_vector(tmp_path, cause, adaptive):
    updates, zeros = make_updates(), []
    cause(updates)
    pipeline = make_pipeline(tmp_path, sampling="all", adaptive=adaptive)
    noise = next(step for step in pipeline if isinstance(step, DistributedNoise))
    pipeline.insert(pipeline.index(noise), Watch(zeros))
    send(pipeline, make_state(), updates)
    assert len(zeros) == len(CLIENTS)
    assert not np.any(zeros), "before the noise nothing may be left, the clip bit included"
    assert all(np.count_nonzero(update.integers) > 0.9 * update.integers.size for update in updates)


class Watch(FederationCallback):
    """Keeps what reaches the noise."""

    def __init__(self, kept: list[np.ndarray]) -> None:
        self.kept = kept

    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        self.kept.append(update.integers.copy())


def test_coins_are_drawn_afresh_in_every_round_and_attempt():
    sampling = HiddenSampling(SeededKeys(0), 0.5)

    def coins(index: int, attempt: int) -> list[bool]:
        state, updates = make_state(index), make_updates()
        state.attempt = attempt
        for update in updates:
            sampling.on_client_update(state, update)
        return [update.contributes for update in updates]

    drawn = [coins(index, attempt) for index in range(4) for attempt in range(4)]
    assert len({tuple(coin) for coin in drawn}) > 10
    assert 0.3 < np.mean(drawn) < 0.7


def test_no_coin_brings_a_failed_client_back():
    update = make_updates()[0]
    update.contributes = False
    HiddenSampling(SeededKeys(0), 1.0).on_client_update(make_state(), update)
    assert not update.contributes


def test_visible_coins_choose_the_cohort_on_rank_0_only():
    main, other = make_state(), make_state()
    other.is_main = False
    for state in (main, other):
        VisibleSampling(SeededKeys(1), 0.5).on_round_start(state)
    assert 0 < len(main.clients) < len(CLIENTS)
    assert other.clients == CLIENTS, "other devices take over what rank 0 has drawn"


def test_an_empty_cohort_is_not_drawn_again():
    state = make_state()
    VisibleSampling(SeededKeys(0), 1e-9).on_round_start(state)
    assert state.clients == ()
