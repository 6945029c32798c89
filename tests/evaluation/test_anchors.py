"""Anchors: what any table must hold beside a system's figures."""

from __future__ import annotations

import pytest
import torch

from benchmarks.drawn_cases import make_cases
from datamodules.demo.people import make_demo_people
from datamodules.demo.seeds import HELD_OUT_SEEDS
from datamodules.reading.frames import load_people
from evaluation.anchors import clean_render, drawn_seed, noise, static_copy, through_autoencoder
from evaluation.metrics.pixels import psnr
from lightning_modules.base_folder import load_base
from tests.evaluation.drawn import draw_cases


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a case of a person in a real file."""
    root = tmp_path_factory.mktemp("people")
    make_demo_people(root, HELD_OUT_SEEDS[:1], clips_per_person=2)
    return make_cases(load_people(root, 64, "none"), 9)[1]


@pytest.mark.slow
def test_noise_is_no_picture_and_a_static_copy_no_video(written):
    assert psnr(noise(written), written.frames) < 12
    assert torch.equal(noise(written), noise(written))
    assert not static_copy(written).diff(dim=0).any()
    assert torch.equal(static_copy(written)[7], written.reference)


@pytest.mark.slow
def test_a_clean_render_differs_from_the_file_by_its_encoding_alone(written):
    assert 25 < psnr(clean_render(written), written.frames) < 60
    assert drawn_seed(written) == 2000


def test_only_people_that_were_drawn_are_drawn_again():
    case = draw_cases(1)[0]  # without a file, nobody knows who drew it
    assert drawn_seed(case) is None
    with pytest.raises(ValueError, match="demo people"):
        clean_render(case)


@pytest.mark.slow
def test_an_autoencoder_that_never_learned_loses_the_picture(tiny_base, written):
    decoded = through_autoencoder(load_base(tiny_base), written.frames)
    assert decoded.shape == written.frames.shape
    assert decoded.dtype == torch.uint8
    assert psnr(decoded, written.frames) < 20
