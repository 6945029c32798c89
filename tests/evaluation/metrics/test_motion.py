"""Motion is scored against the truth's: standing still, trembling, drifting and running backwards must all cost."""

from __future__ import annotations

import pytest
import torch

from evaluation.metrics.motion import change_error, change_ratio, find_flow, warping_error
from tests.evaluation.drawn import draw_cases


@pytest.fixture(scope="module")
def frames():
    return draw_cases(1)[0].frames


def trembling(frames: torch.Tensor) -> torch.Tensor:
    noise = torch.randint(-25, 26, frames.shape)
    return (frames.int() + noise).clamp(0, 255).to(torch.uint8)


def test_the_truth_changes_as_itself(frames):
    assert change_error(frames, frames) == 0
    assert change_ratio(frames, frames) == 1


def test_a_still_picture_has_all_of_the_true_change_as_its_error(frames):
    still = frames[:1].expand_as(frames)
    assert change_ratio(still, frames) == 0
    assert change_error(still, frames) == pytest.approx(frames.float().diff(dim=0).abs().mean().item())


def test_trembling_changes_too_much_and_reversed_time_wrongly(frames):
    assert change_ratio(trembling(frames), frames) > 2
    assert change_ratio(frames.flip(0), frames) == pytest.approx(1, abs=1e-5)  # which is why it is not enough
    still = frames[:1].expand_as(frames)
    assert change_error(frames.flip(0), frames) > change_error(still, frames)


def test_a_truth_that_stands_still_scores_nobody(frames):
    still = frames[:1].expand_as(frames)
    assert change_ratio(frames, still) != change_ratio(frames, still)


def test_flow_finds_a_shift_and_what_leaves_the_picture(frames):
    shifted = torch.stack([frames[0], frames[0].roll(2, dims=2)])
    flow = find_flow(shifted)
    inner = flow.vectors[0, 20:44, 20:44]
    assert inner[..., 0].median() == pytest.approx(2, abs=0.3)
    assert inner[..., 1].median() == pytest.approx(0, abs=0.3)
    assert not flow.visible[0, :, -1].any()
    assert flow.visible[0, 20:44, 20:44].float().mean() > 0.9


@pytest.mark.slow
def test_warping_error_is_least_for_the_truth(frames):
    flow = find_flow(frames)
    truth = warping_error(frames, flow)
    assert warping_error(trembling(frames), flow) > 3 * truth
    assert warping_error(frames.flip(0), flow) > 2 * truth
