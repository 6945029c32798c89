"""LPIPS through torchmetrics, with whatever network of it is at hand."""

from __future__ import annotations

from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from typing_extensions import override

from evaluation.protocols import PerceptualJudge


class PerceptualDistance(LearnedPerceptualImagePatchSimilarity):
    """LPIPS (Zhang et al. 2018) over a network that is given, for frames in [0, 1].

    torchmetrics' own constructor downloads its network; all else is torchmetrics'.
    """

    @override
    def __init__(self, network: nn.Module | PerceptualJudge) -> None:
        Metric.__init__(self)
        self.net, self.reduction, self.normalize = network, "mean", True
        self.add_state("all_scores", default=[], dist_reduce_fx=None)


def perceptual_distance(judge: PerceptualJudge, frames: Tensor, target: Tensor) -> float:
    """Return the mean LPIPS of uint8 frames `(frames, 3, height, width)`; 0 is equal.

    It compares with published values only where the network is AlexNet v0.1 and the size is theirs.
    """
    metric = PerceptualDistance(judge)
    metric.update(frames / 255, target / 255)
    return metric.compute().item()
