"""Evaluation: paired times and noise, each adapter in its turn, clients without a test clip left out."""

from __future__ import annotations

import pytest
import torch

from callbacks.adapter_worth import STRANGERS, AdapterWorth, summary
from federation.vectors import write_vector
from tests.callbacks.parts import make_state
from tests.callbacks.speakers import TinyPeople, TinySpeaker
from tests.tiny import tiny_fabric

PEOPLE = {"ann": 1.0, "bob": 2.0, "cleo": 3.0, "zoe": 9.0}


@pytest.fixture
def evaluated():
    module, data = TinySpeaker(), TinyPeople(PEOPLE)
    observer = AdapterWorth(tiny_fabric(), module, data, every=2, batches=3)
    state = make_state(1)

    def load(client: str | None) -> None:
        write_vector([module.shared], torch.tensor([0.5]))
        write_vector([module.personal], torch.tensor([0.0 if client is None else PEOPLE[client] - 0.5]))

    state.load_adapters = load
    observer.on_round_end(state)
    after_round = dict(state.metrics)
    observer.on_run_end(state)
    return after_round, state.metrics, module


def test_losses_are_those_of_the_adapters_in_their_turn(evaluated):
    _, metrics, _ = evaluated
    assert metrics["local/held_out_own/bob"] == pytest.approx(1.0)
    assert metrics["local/held_out_shared/bob"] == pytest.approx(2.5)
    assert metrics["local/held_out_base/bob"] == pytest.approx(3.0)
    assert metrics["local/held_out_stranger/bob"] == pytest.approx(2.0), "the best stranger is one number away"
    assert metrics["local/held_out_base"] == pytest.approx(3.0), "the mean over those with a test clip"


def test_times_and_noise_are_the_same_for_every_adapter_and_every_evaluation(evaluated):
    _, _, module = evaluated
    # per evaluation and client: 3 batches for each of own, shared, base (and 3 strangers at the end)
    first = module.asked[:3]
    for start in range(0, 9, 3):
        for (time, noise), (other_time, other_noise) in zip(first, module.asked[start : start + 3], strict=True):
            assert torch.equal(time, other_time)
            assert torch.equal(noise, other_noise)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, module.asked[27:30], strict=True))
    assert not torch.equal(module.asked[0][1], module.asked[9][1]), "clients have noise of their own"


def test_the_times_cover_the_schedule(evaluated):
    times = torch.cat([time for time, _ in evaluated[2].asked[:3]])
    assert times.tolist() == [83, 250, 416, 583, 750, 916]


def test_clients_without_a_test_clip_are_not_scored(evaluated):
    assert not [tag for tag in evaluated[1] if tag.endswith("/zoe")]


def test_strangers_are_tried_at_the_end_only_and_everything_is_local(evaluated, capsys):
    after_round, metrics, _ = evaluated
    assert not [tag for tag in after_round if "stranger" in tag]
    assert all(tag.startswith("local/") for tag in metrics)


def test_the_summary_counts_who_is_best_served_by_the_own_adapter(capsys):
    module = TinySpeaker()
    observer, state = AdapterWorth(tiny_fabric(), module, TinyPeople(PEOPLE)), make_state()
    observer.on_run_end(state)
    assert "beats every stranger's that was tried for 0 of 3 clients" in capsys.readouterr().out


def test_rounds_between_are_not_evaluated():
    observer, state = AdapterWorth(tiny_fabric(), TinySpeaker(), TinyPeople(PEOPLE), every=2), make_state(0)
    observer.on_round_end(state)
    assert state.metrics == {}


def test_who_is_alone_beats_no_stranger():
    metrics = {f"local/held_out_{name}{of}": 1.0 for name in ("base", "shared", "own") for of in ("", "/ann")}
    said = summary(metrics, ["ann"])
    assert said.startswith("Held-out denoising loss: base 1.0000")
    assert "stranger" not in said


def test_of_many_strangers_a_few_are_tried_and_always_the_same():
    people = [f"person{number}" for number in range(30)]
    worth = AdapterWorth(tiny_fabric(), TinySpeaker(), TinyPeople(people))
    tried = worth._strangers("person3")
    assert len(set(tried)) == STRANGERS
    assert tried == worth._strangers("person3") != worth._strangers("person4")
    assert "person3" not in tried
    few = AdapterWorth(tiny_fabric(), TinySpeaker(), TinyPeople(people[:4]))
    assert sorted(few._strangers("person3")) == people[:3]
    few.module.personal_parameters = list
    assert few._strangers("person3") == []
