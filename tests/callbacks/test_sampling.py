"""Coins: hidden ones change what a vector says, never what it looks like; visible ones choose the cohort."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.sampling import HiddenSampling, VisibleSampling
from federation.privacy.keys import SeededKeys
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
    assert all(not update.vector.any() and update.weight == 0 for update in absent)
    assert all(update.integers.any() for update in absent), "nobody may be told from others by missing noise"


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
