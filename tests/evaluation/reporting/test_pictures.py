"""Figures and videos hold what they claim to show."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.reporting.figures import MEAN, Scale, draw_intervals
from evaluation.reporting.sheet import save_sheet
from evaluation.reporting.track_figure import draw_tracks
from evaluation.reporting.videos import save_videos, side_by_side
from evaluation.scores import Score
from evaluation.table import summarise
from tests.evaluation.drawn import draw_cases


@pytest.fixture(scope="module")
def cases():
    return draw_cases(2, frames=10)


def test_a_scale_holds_all_values_in_order():
    scale = Scale.over([1.0, 4.0, 2.0], left=100)
    places = [scale.place(value) for value in (1.0, 2.0, 4.0)]
    assert 100 < places[0] < places[1] < places[2] < 100 + 270
    assert Scale.over([3.0], left=0).place(3.0) == 135  # a single value lies in the middle


def test_every_mean_is_drawn_and_what_does_not_apply_is_said():
    people = ("ann", "bob", "cleo", "dan")
    scores = [
        Score(system, person, "c", "PSNR", value + number)
        for system, value in (("base", 20.0), ("own", 23.0))
        for number, person in enumerate(people)
    ]
    scores += [Score("base", "ann", "c", "mouth r", float("nan"))]
    picture = np.array(draw_intervals(summarise(scores), ["PSNR", "mouth r"]))
    blue = (picture == [int(MEAN[index : index + 2], 16) for index in (1, 3, 5)]).all(-1)
    assert blue.sum() > 2 * 60  # two dots and their intervals
    assert picture.shape[1] > 1000


def test_tracks_are_drawn_for_demo_people_and_refused_where_colours_run_out(cases):
    frames = [case.frames for case in cases]
    picture = np.array(draw_tracks(cases, {"recorded": frames}))
    assert (picture < 100).all(-1).sum() > 500
    with pytest.raises(ValueError, match="at most 4"):
        draw_tracks(cases, {str(number): frames for number in range(5)})


def test_a_sheet_has_a_row_per_kind_and_room_for_their_names(cases, tmp_path):
    frames = [case.frames for case in cases[:2]]
    name = "nearest stranger's adapter, sound alone"
    save_sheet(tmp_path / "sheet.png", {"recorded": frames, name: frames})
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == 2 * 64
        assert sheet.width > 2 * 4 * 64 + 150
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_systems_stand_side_by_side_unsmoothed(cases):
    shown = side_by_side({"recorded": cases[0].frames, "static copy": cases[0].reference.expand_as(cases[0].frames)})
    assert shown.shape[0] == 10
    assert shown.shape[-1] == 2 * 192
    assert torch.equal(shown[3, :, -192::3, :192:3], cases[0].frames[3])


def test_videos_have_names_frames_and_sound(cases, tmp_path):
    made = {"recorded": [case.frames for case in cases]}
    paths = save_videos(tmp_path, cases, made)
    assert [str(path.relative_to(tmp_path)) for path in paths[:2]] == ["p2000/clip_00.mp4", "p2000/clip_01.mp4"]
    with av.open(str(paths[0])) as video:
        assert video.streams.video[0].frames == 10
        assert video.streams.audio
