"""Masks: the sum is exact, one vector alone says nothing, and nothing else leaves a device."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from callbacks.masking import broadcast
from federation.hooks import FederationCallback
from federation.privacy.ledger import RELEASED_NOTE
from federation.secure_aggregation.errors import InvalidSignatureError, ProtocolError
from federation.secure_aggregation.messages import Advertise, Confirm, ShareKeys, Unmask
from federation.update import Aggregate, RoundState
from tests.callbacks import parts
from tests.callbacks.parts import CLIENTS, add_up, call, make_pipeline, make_state, make_updates, receive, send


def test_the_sum_of_masked_vectors_is_the_plain_integer_sum(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    send(pipeline, state, updates)
    plain = sum(update.integers for update in updates)
    assert not any(np.array_equal(update.wire.view(np.int32), update.integers) for update in updates)
    assert not np.array_equal(add_up(updates).view(np.int32), plain), "the sum needs the survivors' shares, too"
    aggregate = Aggregate(add_up(updates), len(updates))
    pipeline[-1].on_aggregate(state, aggregate)
    assert np.array_equal(aggregate.integers, plain)
    assert state.metrics["released/upload_bytes"] == 4 * 51


def test_one_masked_vector_is_uniform(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "DIMENSION", 20_000)
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates(CLIENTS)
    send(pipeline, state, updates)
    lanes = updates[0].wire.view(np.uint8).reshape(-1, 4).T
    plain = updates[0].integers.astype(np.uint32).view(np.uint8).reshape(-1, 4).T
    assert min(chisquare(np.bincount(lane, minlength=256)).pvalue for lane in lanes) > 1e-6
    assert min(chisquare(np.bincount(lane, minlength=256)).pvalue for lane in plain) < 1e-6, "the check has no power"


def transcript(pipeline: list, updates: list) -> list[dict[str, bytes]]:
    """Return everything a device gives to others in a round, beside the wires it adds up."""
    messages, state = [], make_state()

    def exchange(own: dict[str, bytes]) -> dict[str, bytes]:
        messages.append(dict(own))
        return dict(own)

    state.exchange = exchange
    send(pipeline, state, updates)
    receive(pipeline, state, updates)
    assert all(update.wire.dtype == np.uint32 for update in updates)
    return messages


def assert_says_nothing(first: list[dict[str, bytes]], second: list[dict[str, bytes]]) -> None:
    """Fail unless clients with other data say the same, and nothing but enrolment and four of the five messages.

    With seeded keys every byte is determined, so that one bit about the data would show.
    """
    assert first == second
    kinds = [{name: message[:4] for name, message in sent.items()} for sent in first[3:]]
    assert [set(sent) for sent in first[:3]] == [{"authority"}, set(CLIENTS), {"signatures"}]
    assert kinds == [dict.fromkeys(CLIENTS, kind.TAG) for kind in (Advertise, ShareKeys, Confirm, Unmask)]


class TellScore(FederationCallback):
    """The fault: a raw score beside the vector, dressed as a message."""

    def on_cohort_ready(self, state, updates):
        state.exchange({update.client: Advertise.TAG + repr(update.signals.identity).encode() for update in updates})


@pytest.mark.parametrize("fault", [False, True])
def test_nothing_but_the_messages_and_residues_leaves_a_device(tmp_path, fault):
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


def prepare(pipeline: list, state: RoundState, updates: list) -> None:
    """Take updates up to the masks."""
    call(pipeline, "on_run_start", state)
    for update in updates:
        call(pipeline, "on_client_update", state, update)


def test_a_missing_client_ends_the_round(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    prepare(pipeline, state, updates)
    state.exchange = lambda own: {client: key for client, key in own.items() if client != "eve"}
    with pytest.raises(ValueError, match="must enrol"):
        pipeline[-1].on_cohort_ready(state, updates)
    assert all(update.wire is None for update in updates)


def test_a_roster_that_the_pinned_key_did_not_sign_ends_the_round(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    prepare(pipeline, state, updates)
    state.exchange = lambda own: {
        name: bytes(len(sent)) if name == "signatures" else sent for name, sent in own.items()
    }
    with pytest.raises(InvalidSignatureError):
        pipeline[-1].on_cohort_ready(state, updates)
    assert all(update.wire is None for update in updates)


def test_a_replaced_message_ends_the_round(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    prepare(pipeline, state, updates)
    state.exchange = lambda own: own | ({"ann": own["bob"]} if own.get("bob", b"")[:4] == Advertise.TAG else {})
    with pytest.raises(ProtocolError):
        pipeline[-1].on_cohort_ready(state, updates)
    assert all(update.wire is None for update in updates)


def test_no_sum_without_everybodys_confirmation(tmp_path):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates()
    send(pipeline, state, updates)
    honest = state.exchange
    state.exchange = lambda own: {
        name: sent[:-1] + bytes([sent[-1] ^ 1]) if sent[:4] == Confirm.TAG else sent
        for name, sent in honest(own).items()
    }
    with pytest.raises(ProtocolError):
        receive(pipeline, state, updates)


def test_masks_depend_on_all_that_clients_must_have_been_given_alike():
    same, others = make_state(), [make_state(clip_norm=0.5), make_state(), make_state()]
    others[1].global_adapter = same.global_adapter + 1e-3
    others[2].notes = {RELEASED_NOTE: "ab"}
    assert broadcast(same) == broadcast(make_state())
    assert len({broadcast(state) for state in [same, *others]}) == 4


@pytest.mark.parametrize("clients", [("ann",), ("ann", "bob"), CLIENTS[:3]])
def test_cohorts_too_small_to_hide_in_still_add_up(tmp_path, clients):
    pipeline, state, updates = make_pipeline(tmp_path), make_state(), make_updates(clients)
    call(pipeline, "on_run_start", state)
    state.clients = clients
    for update in updates:
        call(pipeline, "on_client_update", state, update)
    call(pipeline, "on_cohort_ready", state, updates)
    aggregate = Aggregate(add_up(updates), len(clients))
    pipeline[-1].on_aggregate(state, aggregate)
    assert np.array_equal(aggregate.integers, sum(update.integers for update in updates))
