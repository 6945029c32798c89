"""All systems see the same portrait and noise, and differ by adapter, pose and sound alone."""

from __future__ import annotations

import weakref
from dataclasses import replace
from zlib import crc32

import pytest
import torch

from evaluation.anchors import CLEAN, RECORDED
from evaluation.cases import client_cases
from evaluation.finished_run import open_finished
from evaluation.production import noise_seed, produce
from evaluation.systems import System, list_systems, make_anchors, nearest_strangers, swap_sounds
from lightning_modules.base_folder import load_base
from lightning_modules.personalised import load_personalised
from lightning_modules.sampling import SamplingOptions, animate


@pytest.fixture(scope="module")
def run(finished_run):
    return open_finished(finished_run)


@pytest.fixture(scope="module")
def cases(run):
    return client_cases(run.data, None, clips=1, frames=9)


@pytest.fixture(scope="module")
def base(run):
    return load_base(run.base)


@pytest.fixture(scope="module")
def strangers(run, base):
    return nearest_strangers(run, base)


def list_names(systems: list[System]) -> list[str]:
    return [system.name for system in systems]


def test_the_nearest_stranger_is_somebody_else(strangers):
    assert strangers == {"p2000": "p2001", "p2001": "p2000"}


def test_demo_people_have_every_system(run, cases, strangers):
    names = list_names(list_systems(run, cases, strangers, knows_motion=True))
    models = ("base", "global adapter", "own adapter", "nearest stranger's adapter")
    assert names == [f"{m}, {p}" for p in ("pose given", "sound alone") for m in models] + [
        "own adapter, another's sound"
    ]


def test_people_whose_motion_nobody_knows_are_given_no_pose(run, cases, strangers):
    real = [replace(case, motion=None, mouth=None) for case in cases]
    systems = list_systems(run, real, strangers, knows_motion=True)
    assert len(systems) == 5
    assert not any(system.posed for system in systems)
    assert list_names(list_systems(run, cases, strangers, knows_motion=False)) == list_names(systems)


def test_a_strangers_adapter_and_anothers_sound_are_of_somebody_else(run, cases, strangers):
    *_, stranger, swapped = list_systems(run, cases, strangers, knows_motion=True)
    assert stranger.adapter(cases[0]) == run.own("p2001")
    assert torch.equal(swapped.sound(cases[0]), cases[1].sound)


def test_a_shorter_sound_is_repeated(cases):
    short = [cases[0], replace(cases[1], sound=cases[1].sound[:4])]
    assert torch.equal(swap_sounds(short)[cases[0].person, cases[0].name][4:8], cases[1].sound[:4])


@pytest.mark.slow
def test_anchors_hold_the_clip_and_what_was_drawn(base, cases, tmp_path):
    made = make_anchors(base, cases, tmp_path)
    assert torch.equal(made[RECORDED][1], cases[1].frames)
    assert CLEAN in made
    somebody = [replace(case, clip=replace(case.clip, path=case.clip.path.with_name("x.mp4"))) for case in cases]
    assert CLEAN not in make_anchors(base, somebody, tmp_path)


@pytest.mark.slow
def test_adapters_that_change_nothing_make_the_same_frames(run, cases, strangers, tmp_path):
    names = [f"{model}, pose given" for model in ("base", "global adapter", "own adapter")]
    systems = [system for system in list_systems(run, cases, strangers, knows_motion=True) if system.name in names]
    production = produce(run.base, systems, cases, SamplingOptions(steps=1), tmp_path)
    base, shared, own = (production.frames[name] for name in names)
    for one, other in ((base, shared), (base, own)):
        assert all((a.int() - b.int()).abs().max() <= 1 for a, b in zip(one, other, strict=True))
    assert len(production.times) == len(systems) * len(cases)
    assert all(score.value > 0 for score in production.times)
    assert {score.metric for score in production.times} == {"seconds per frame"}


@pytest.mark.slow
def test_one_model_is_there_at_a_time(run, cases, strangers, monkeypatch, tmp_path):
    """A GPU may have no room for two."""
    alive = weakref.WeakSet()

    def load(*folders):
        assert not alive, "the one before is still there"
        backbone = load_personalised(*folders)
        alive.add(backbone)
        return backbone

    monkeypatch.setattr("evaluation.production.load_personalised", load)
    systems = list_systems(run, cases, strangers, knows_motion=True)[:3]
    produce(run.base, systems, cases, SamplingOptions(steps=1), tmp_path)


@pytest.mark.slow
def test_from_sound_alone_a_motion_is_drawn_as_generate_draws_it(run, base, cases, strangers, monkeypatch, tmp_path):
    """What is drawn follows from length and seed; other lengths, as where nobody looks, have none here."""
    case, seed, motion = cases[0], noise_seed(0, cases[0]), 0.2 * torch.ones(len(cases[0].sound), 6)
    drawn = {(len(case.sound), "auto", seed): motion}
    monkeypatch.setattr("evaluation.production.choose_motion", lambda backbone, portrait, *how: drawn.get(how))
    sounding = [
        system
        for system in list_systems(run, cases, strangers, knows_motion=True)
        if system.name == "base, sound alone"
    ]
    production = produce(run.base, sounding, cases[:1], SamplingOptions(steps=1), tmp_path)
    (made,) = production.frames["base, sound alone"]
    options = SamplingOptions(steps=1, seed=seed)
    given, free = (animate(base, case.reference, case.sound, options, motion=m) for m in (motion, None))
    assert torch.equal(made, given)
    assert not torch.equal(made, free)


def test_the_start_noise_follows_from_seed_and_clip(cases):
    first, second = cases
    assert len({noise_seed(1, first), noise_seed(1, second), noise_seed(0, first)}) == 3
    assert noise_seed(1, first) == crc32(b"1 p2000 clip_01")
