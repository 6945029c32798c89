"""Samples: public people under `released`, clients under `local` and with their own adapter."""

from __future__ import annotations

import pytest
import torch

from callbacks.samples import Samples, Speaker, strip_of
from tests.callbacks.parts import make_state
from tests.callbacks.speakers import TinyPeople, TinySpeaker
from tests.tiny import tiny_fabric


class Shown:
    """Stands in for the monitor."""

    def __init__(self) -> None:
        self.pictures = {}

    def show(self, kind, tag, picture):
        self.pictures[kind, tag] = picture


@pytest.fixture
def made(tmp_path):
    module, videos, shown = TinySpeaker(), {}, Shown()
    speakers = [
        Speaker("pam", TinyPeople({"pam": 0.0, "x": 0.0}), is_client=False),
        Speaker("ann", TinyPeople({"ann": 5.0, "x": 0.0}, has_motion=True), is_client=True),
    ]

    def write(path, frames, waveform):
        videos[path.relative_to(tmp_path).as_posix()] = (frames, waveform)

    observer = Samples(tiny_fabric(), module, speakers, write, shown, tmp_path, every=1, frames=20, steps=2)
    state = make_state()

    def load(client: str | None) -> None:
        module.personal.data.fill_(0.0 if client is None else 5.0)

    state.load_adapters = load
    observer.on_round_end(state)
    after_round = set(videos)
    observer.on_run_end(state)
    return after_round, videos, shown.pictures


def test_rounds_show_public_people_only(made):
    after_round, videos, _ = made
    assert after_round == {"released/samples/pam.mp4"}
    assert set(videos) == {"released/samples/pam.mp4", "local/samples/ann.mp4"}


def test_a_training_portrait_speaks_with_the_clients_own_adapter_and_the_true_motion(made):
    _, videos, _ = made
    assert videos["local/samples/ann.mp4"][0].unique().tolist() == [7 + 105]
    assert videos["released/samples/pam.mp4"][0].unique().tolist() == [7]


def test_sound_is_as_long_as_the_frames(made):
    for frames, waveform in made[1].values():
        assert len(frames) == 20
        assert len(waveform) == 20 * 640


def test_strips_are_told_apart_by_tag(made):
    assert set(made[2]) == {("released", "released/sample/pam"), ("local", "local/sample/ann")}
    assert made[2]["local", "local/sample/ann"].shape == (3, 32, 128)


def test_a_strip_shows_recorded_frames_above_generated_ones():
    strip = strip_of(torch.zeros(9, 3, 4, 4, dtype=torch.uint8), torch.full((9, 3, 4, 4), 7, dtype=torch.uint8))
    assert strip[:, :4].unique().tolist() == [0]
    assert strip[:, 4:].unique().tolist() == [7]
