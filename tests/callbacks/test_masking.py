"""Masks: the sum is exact, one vector alone says nothing, and nothing else leaves a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from federation.hooks import FederationCallback
from federation.secure_aggregation.keys import InvalidPublicKeyError
from tests.callbacks import parts
from tests.callbacks.parts import CLIENTS, add_up, call, make_pipeline, make_state, make_updates, receive, send


def test_the_sum_of_masked_vectors_is_the_plain_integer_sum(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    send(pipeline, state, updates)
    plain = sum(update.integers for update in updates)
    assert np.array_equal(add_up(updates).view(np.int32), plain)
    assert not any(np.array_equal(update.wire.view(np.int32), update.integers) for update in updates)
    receive(pipeline, state, updates)
    assert state.metrics["released/upload_bytes"] == 4 * 51


def test_one_masked_vector_is_uniform(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "DIMENSION", 20_000)
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates(CLIENTS)
    send(pipeline, state, updates)
    lanes = updates[0].wire.view(np.uint8).reshape(-1, 4).T
    plain = updates[0].integers.astype(np.uint32).view(np.uint8).reshape(-1, 4).T
    assert min(chisquare(np.bincount(lane, minlength=256)).pvalue for lane in lanes) > 1e-6
    assert min(chisquare(np.bincount(lane, minlength=256)).pvalue for lane in plain) < 1e-6, "the check has no power"


def transcript(pipeline: list, updates: list) -> list[tuple[str, bytes]]:
    """Return everything a device gives to others in a round, beside the wires it adds up."""
    messages, state = [], make_state()

    def exchange(own: dict[str, bytes]) -> dict[str, bytes]:
        messages.extend(own.items())
        return dict(own)

    state.exchange = exchange
    send(pipeline, state, updates)
    assert all(update.wire.dtype == np.uint32 for update in updates)
    return messages


def assert_says_nothing(first: list[tuple[str, bytes]], second: list[tuple[str, bytes]]) -> None:
    """Fail unless two clients' worlds with different data say the same: one session and one public key each."""
    assert first == second
    assert [name for name, _ in first] == ["session", *CLIENTS]
    assert {len(message) for _, message in first} == {32}


class TellScore(FederationCallback):
    """The fault: a raw score beside the vector, padded to look like a key."""

    def on_cohort_ready(self, state, updates):
        state.exchange({update.client: repr(update.signals.identity).encode().ljust(32) for update in updates})


@pytest.mark.parametrize("fault", [False, True])
def test_nothing_but_public_keys_and_residues_leaves_a_device(tmp_path, fault):
    transcripts = []
    for number, scale in enumerate((0.05, 3.0)):
        updates = make_updates(scale=scale)
        for update in updates:
            update.signals = type(update.signals)(identity=update.signals.identity / scale, stability=0.5)
            update.num_examples *= 1 + number
        pipeline = [*make_pipeline(tmp_path / str(number)), *([TellScore()] if fault else [])]
        transcripts.append(transcript(pipeline, updates))
    if fault:
        with pytest.raises(AssertionError):
            assert_says_nothing(*transcripts)
    else:
        assert_says_nothing(*transcripts)


def test_masks_of_clients_with_different_adapters_do_not_cancel(tmp_path):
    pipeline, updates = make_pipeline(tmp_path), make_updates()
    honest, deceived = make_state(), make_state()
    deceived.global_adapter = torch.full_like(honest.global_adapter, 1e-3)
    send(pipeline, honest, updates)
    isolated = make_updates()
    send(pipeline, deceived, isolated)
    total = add_up([*updates[1:], isolated[0]])
    plain = sum(update.integers for update in [*updates[1:], isolated[0]])
    assert (total.view(np.int32) != plain).mean() > 0.9


def test_a_missing_key_ends_the_round(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    call(pipeline, "on_run_start", state)
    for update in updates:
        call(pipeline, "on_client_update", state, update)
    state.exchange = lambda own: {client: key for client, key in own.items() if client != "eve"}
    with pytest.raises(ValueError, match="one key"):
        pipeline[-1].on_cohort_ready(state, updates)


def test_a_replaced_key_ends_the_round(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    call(pipeline, "on_run_start", state)
    for update in updates:
        call(pipeline, "on_client_update", state, update)
    state.exchange = lambda own: own | {"ann": own["bob"]}
    with pytest.raises(InvalidPublicKeyError):
        pipeline[-1].on_cohort_ready(state, updates)


def test_a_cohort_of_one_sends_its_noised_vector(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path, clients=8), make_state(), make_updates(("ann",))
    call(pipeline, "on_run_start", state)
    state.clients = ("ann",)
    call(pipeline, "on_client_update", state, updates[0])
    call(pipeline, "on_cohort_ready", state, updates)
    assert np.array_equal(updates[0].wire.view(np.int32), updates[0].integers)
