"""Cases must never show the model the clip that it is scored on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from datamodules.clips import SAMPLES_PER_FRAME
from evaluation.cases import client_cases, cut_case
from tests.evaluation.drawn import draw_cases, draw_clips


@pytest.fixture(scope="module")
def cases():
    return draw_cases()


class People:
    """Clients whose clips were drawn, all of the same person."""

    drawn = draw_clips(2000, 3, frames=25)

    def __init__(self, **test_clips: int) -> None:
        self.root, self.clients = "data/people", list(test_clips)
        self.test_clips = test_clips

    def splits(self, client: str) -> dict[str, list]:
        if client not in self.clients:
            raise ValueError(f"A client must be one of {self.clients}. Got {client}.")
        clips = [replace(clip, person=client) for clip in self.drawn]
        return {"train": clips[:1], "val": [], "test": clips[1 : 1 + self.test_clips[client]]}


@pytest.mark.slow
def test_a_case_is_the_middle_of_a_clip_with_the_reference_from_another(cases):
    assert [case.person for case in cases] == ["p2000", "p2000", "p2001", "p2001", "p2002", "p2002"]
    case, other = cases[0], cases[1]
    assert case.start == 9
    assert torch.equal(case.frames, case.clip.frames[9:20])
    assert torch.equal(case.reference, other.clip.frames[0])
    assert case.mel.shape == (11, 20, 80)


@pytest.mark.slow
def test_a_cases_sound_lies_under_its_frames(cases):
    case = cases[0]
    first = 9 * SAMPLES_PER_FRAME
    assert torch.equal(case.waveform, case.clip.waveform[first : first + 11 * SAMPLES_PER_FRAME])


def test_the_model_hears_with_its_own_ears_and_judges_with_theirs(cases):
    clip, reference = cases[0].clip, cases[0].reference
    heard = cut_case(clip, reference, 9, 11, lambda waveform, frames: torch.arange(frames).view(-1, 1, 1))
    assert heard.sound.flatten().tolist() == list(range(9, 20))
    assert torch.equal(heard.mel, cases[0].mel)
    assert cases[0].sound.data_ptr() == cases[0].mel.data_ptr()


def test_people_whose_motion_nobody_knows_make_cases_without_it():
    clip = replace(draw_clips(2000, 1)[0], motion=None, mouth=None)
    case = cut_case(clip, clip.frames[0], 0, 11)
    assert case.motion is None
    assert len(case.frames) == len(case.mel) == 11


def test_clients_are_scored_on_held_out_clips_with_a_reference_that_was_trained_on(caplog):
    people = People(ann=1, bob=2, cleo=0)
    found = client_cases(people, None, clips=2, frames=8)
    assert [(case.person, case.name) for case in found] == [("ann", "clip_01"), ("bob", "clip_01"), ("bob", "clip_02")]
    trained_on = people.splits("bob")["train"][0]
    assert all(torch.equal(case.reference, trained_on.frames[0]) for case in found)
    assert {case.start for case in found} == {(25 - 8) // 2}
    assert [case.start for case in client_cases(people, ["ann"], clips=1, frames=75)] == [0]
    assert "cleo" in caplog.text


def test_clients_can_be_chosen_and_a_wrong_name_is_refused():
    people = People(ann=1, bob=2)
    assert [case.person for case in client_cases(people, ["bob"], clips=1, frames=8)] == ["bob"]
    with pytest.raises(ValueError, match="zoe"):
        client_cases(people, ["zoe"], clips=1, frames=8)
    with pytest.raises(ValueError, match="Nobody"):
        client_cases(People(ann=0), None, clips=1, frames=8)
