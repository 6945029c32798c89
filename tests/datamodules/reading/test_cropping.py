"""Where the square comes from."""

from __future__ import annotations

import logging
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.clips import UnusableFile
from datamodules.reading import cropping
from datamodules.reading.cropping import Box, Face, centre_box, crop_and_resize, crop_box, crop_portrait


@pytest.fixture(autouse=True)
def no_models(tmp_path, monkeypatch):
    """Let no test depend on what is installed on this machine."""
    monkeypatch.setattr(cropping, "INSIGHTFACE_MODELS", tmp_path / "models")
    cropping._detector.cache_clear()
    yield
    cropping._detector.cache_clear()


@pytest.fixture(scope="module")
def astronaut() -> torch.Tensor:
    from skimage.data import astronaut

    return torch.from_numpy(astronaut()).permute(2, 0, 1)


def holds_the_face(box: Box) -> bool:
    return box.left < 190 and box.left + box.side > 260 and box.top < 80 and box.top + box.side > 160


def test_the_face_is_found_and_framed(astronaut):
    box = crop_box(astronaut, "face")
    assert holds_the_face(box)
    assert box.side < 350


def test_none_and_no_face_give_the_centre_square(caplog):
    grey = torch.full((2, 3, 90, 160), 99, dtype=torch.uint8)
    with caplog.at_level(logging.WARNING):
        assert crop_box(grey, "none") == Box(35, 0, 90)
        assert not caplog.records
        assert crop_box(grey, "auto", "film.mp4") == Box(35, 0, 90)
    assert caplog.messages == ["No face was found in film.mp4; its centre square is taken."]


def test_a_face_that_is_demanded_and_absent_is_an_error():
    for fallback in (None, Box(1, 2, 3)):
        with pytest.raises(UnusableFile, match="no face"):
            crop_box(torch.zeros(3, 64, 64, dtype=torch.uint8), "face", fallback=fallback)


def test_without_a_face_the_last_square_serves():
    assert crop_box(torch.zeros(3, 64, 64, dtype=torch.uint8), "auto", fallback=Box(1, 2, 3)) == Box(1, 2, 3)


def test_of_several_faces_the_largest_is_taken_and_said_so(astronaut, caplog):
    head = astronaut[:, :256, 100:356]
    small = torch.nn.functional.interpolate(head[None].float(), scale_factor=0.5)[0].to(torch.uint8)
    picture = torch.full((3, 256, 420), 128, dtype=torch.uint8)
    picture[:, :, :256], picture[:, 64:192, 280:408] = head, small
    with caplog.at_level(logging.WARNING):
        box = crop_box(picture, "auto", "two.jpg")
    assert box.left + box.side / 2 < 256
    assert "2 faces were found in two.jpg; the largest is taken." in caplog.messages


def test_one_frame_in_which_the_detector_errs_does_not_move_the_square(monkeypatch):
    found = iter([Face(50, 50, 20), Face(52, 50, 20), Face(150, 150, 90)])
    monkeypatch.setattr(cropping, "_search_with_cascade", lambda _: [next(found)])
    assert crop_box(torch.zeros(3, 3, 200, 200, dtype=torch.uint8), "face") == Box(51 - 17, 50 - 17, 34)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"auto, face, none. Got 'best'"):
        crop_box(torch.zeros(3, 8, 8, dtype=torch.uint8), "best")


def test_a_detector_is_used_only_if_its_model_lies_on_disk(tmp_path, monkeypatch, astronaut):
    """What insightface lacks it fetches (T18), so its folder is looked for before the package is touched."""
    asked = []

    class Detector:
        def prepare(self, **settings) -> None:
            pass

        def detect(self, picture):
            assert tuple(picture[0, 0]) == tuple(astronaut[:, 0, 0].tolist()[::-1])  # blue first
            return np.array([[10, 20, 50, 60, 0.9]]), None

    zoo = types.ModuleType("insightface.model_zoo")
    zoo.get_model = lambda name: asked.append(name) or Detector()
    monkeypatch.setitem(sys.modules, "insightface", types.ModuleType("insightface"))
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", zoo)
    assert holds_the_face(crop_box(astronaut, "auto"))
    assert not asked
    cropping._detector.cache_clear()
    model = tmp_path / "models" / "buffalo_l" / "det_10g.onnx"
    model.parent.mkdir(parents=True)
    model.touch()
    assert crop_box(astronaut, "auto") == Box(0, 6, 68)
    assert asked == [str(model)]


@pytest.mark.slow
@given(st.integers(2, 300), st.integers(2, 300), st.floats(-50, 350), st.floats(-50, 350), st.floats(0, 900))
def test_a_square_never_leaves_the_picture(height, width, x, y, side):
    box = cropping._square(height, width, x, y, side)
    assert 0 <= box.left <= width - box.side
    assert 0 <= box.top <= height - box.side
    assert box.side >= 2


@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 131), (300, 99), (32, 32)])
def test_any_size_becomes_the_size_of_the_model(height, width):
    frames = torch.randint(256, (2, 3, height, width), dtype=torch.uint8)
    scaled = crop_and_resize(frames, centre_box(height, width), 64)
    assert scaled.shape == (2, 3, 64, 64)
    assert scaled.dtype == torch.uint8
    assert abs(scaled.float().mean() - frames.float().mean()) < 6


def test_a_portrait_at_model_size_is_taken_whole():
    portrait = torch.randint(256, (3, 64, 64), dtype=torch.uint8)
    assert torch.equal(crop_portrait(portrait, 64, "face"), portrait)


def test_a_portrait_is_cropped_to_the_face(astronaut):
    assert crop_portrait(astronaut, 96).shape == (3, 96, 96)


@pytest.mark.parametrize("mode", ["auto", "face"])
def test_a_portrait_without_a_face_is_refused(mode):
    with pytest.raises(UnusableFile, match="no face"):
        crop_portrait(torch.zeros(3, 100, 80, dtype=torch.uint8), 64, mode)
    assert crop_portrait(torch.zeros(3, 100, 80, dtype=torch.uint8), 64, "none").shape == (3, 64, 64)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 320), (64, 4000), (23, 23), (24, 24)])
def test_in_a_sliver_there_is_no_face(height, width):
    sliver = torch.zeros(3, height, width, dtype=torch.uint8)
    with pytest.raises(UnusableFile, match="no face"):
        crop_portrait(sliver, 64)
    assert crop_box(sliver, "auto") == centre_box(height, width)


@pytest.mark.parametrize(
    ("looks", "middle"),
    [
        ([(50, 30), (52, 32), (54, 34)], 52),
        ([(250, 60), None, (1000, 80)], 1000),  # two people, or one and a false hit
        ([(250, 60), (260, 60), (1000, 90)], 255),
    ],
)
def test_the_square_is_around_a_face_that_was_found_and_never_between_two(monkeypatch, looks, middle):
    found = iter([[Face(look[0], 100, look[1])] if look else [] for look in looks])
    monkeypatch.setattr(cropping, "_search_with_cascade", lambda _: next(found))
    box = crop_box(torch.zeros(len(looks), 3, 400, 1400, dtype=torch.uint8), "face")
    assert abs(box.left + box.side / 2 - max(middle, box.side / 2)) <= 1
