"""Stand-ins for downloaded networks order what is plainly better and worse, through torchmetrics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from evaluation.judges.augmentation import soften
from evaluation.judges.features import FrameFeatures, MouthMotion, PatchDistance
from evaluation.metrics.perceptual import perceptual_distance


@pytest.fixture(scope="module")
def frames(people) -> Tensor:
    return torch.cat([clip.frames[::4] for clips in people.values() for clip in clips])


def blurred(frames: Tensor) -> Tensor:
    return soften(soften(frames.float())).round().to(torch.uint8)


def noise(frames: Tensor) -> Tensor:
    return torch.randint_like(frames, 256)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_fid_and_kid_take_the_features(untrained, frames):
    features = FrameFeatures(untrained["identity"])
    assert features(frames[:3]).shape == (3, features.num_features)
    for metric in (
        FrechetInceptionDistance(features, reset_real_features=False),
        KernelInceptionDistance(features, subsets=3, subset_size=50, reset_real_features=False),
    ):
        metric.update(frames, real=True)
        values = []
        for made in (frames, blurred(frames), noise(frames)):
            metric.reset()
            metric.update(made, real=False)
            value = metric.compute()
            values.append((value[0] if isinstance(value, tuple) else value).item())
        assert values[0] < 0.2 * values[1]
        assert values[1] < values[2]


def test_lpips_takes_the_distance(untrained, frames):
    judge, some = PatchDistance(untrained["identity"]), frames[::6]
    values = [perceptual_distance(judge, made, some) for made in (some, blurred(some), noise(some))]
    assert values[0] == pytest.approx(0, abs=1e-5)
    assert values[0] < values[1] < values[2]
    assert perceptual_distance(judge, some, blurred(some)) == pytest.approx(values[1], rel=1e-5)


def test_ranges_of_pictures_are_told_apart(untrained):
    judge, first, second = PatchDistance(untrained["identity"]), torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    signed = judge(2 * first - 1, 2 * second - 1)
    assert signed.shape == (2, 1, 1, 1)
    assert torch.allclose(judge(first, second, normalize=True), signed)


def test_a_clip_has_a_vector_for_every_16_frames(untrained, people):
    judge, frames = MouthMotion(untrained["sync"]), people["p1000"][0].frames
    assert judge.embed_clip(frames).shape == (25, 128)
    assert judge.embed_clip(frames[:16]).shape == (1, 128)
    still = judge.embed_clip(frames[:1].expand(16, -1, -1, -1))[0]
    assert still[64:].abs().max() < 1e-5
    assert judge.embed_clip(frames[:16])[0, 64:].mean() > 1e-3
