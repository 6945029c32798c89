"""Networks that others trained. They are used if their weights are on disk already; nothing is ever downloaded.

Weights of torchvision's networks are read as safetensors under torchvision's own names of the tensors:

    safetensors.torch.save_file(torchvision.models.alexnet(weights="DEFAULT").state_dict(), "alexnet.safetensors")
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.judges.pictures import as_signed, cut_out
from lightning_modules.weights import read_weights

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of red, green and blue that torchvision's networks expect."""


class ArcFaceJudge:
    """A face encoder of an insightface pack (arXiv 1801.07698), run by onnxruntime.

    It was trained on faces aligned by their eyes. Here it gets the middle of a crop that was centred on the face once
    per clip, which costs some of its accuracy; what is left of it, on the recorded frames, belongs beside every score.
    The weights are for research, not for commerce.
    """

    local = False

    def __init__(self, weights: Path) -> None:
        from onnxruntime import InferenceSession

        self.name = f"ArcFace {weights.parent.name}/{weights.stem}, not aligned"
        self._session = InferenceSession(str(weights), providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def embed(self, frames: Tensor) -> Tensor:
        """Return unit vectors (frames, E) of uint8 frames (frames, 3, height, width)."""
        faces = cut_out(as_signed(frames, torch.device("cpu")), centre=(0.5, 0.5), side=0.66, size=112)
        parts = [self._session.run(None, {self._input: part.numpy()})[0] for part in faces.split(32)]
        return F.normalize(torch.cat([torch.from_numpy(part) for part in parts]), dim=-1)


class Inception(nn.Module):
    """torchvision's Inception v3, 2048 features, for FID and KID.

    The published figures are by another port of the network, whose weights differ: values are near, not the same.
    """

    name = "Inception v3 of torchvision"
    local = False
    num_features = 2048

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torchvision.models import inception_v3

        self.network = inception_v3(weights=None, init_weights=False, transform_input=False)
        self.network.load_state_dict(read_weights(weights))
        self.network.fc = nn.Identity()
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Return features (frames, 2048) of uint8 frames (frames, 3, height, width)."""
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
        pictures = (F.interpolate(frames / 255, (299, 299), mode="bilinear", antialias=True) - mean) / deviation
        return torch.cat([self.network(part) for part in pictures.split(32)])


def load_lpips(weights: Path) -> nn.Module:
    """Return LPIPS v0.1 over AlexNet as torchmetrics builds it, which ships all of its weights but AlexNet's own."""
    from torchmetrics.functional.image.lpips import _LPIPS

    network = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    stored = read_weights(weights)
    layers = {
        name: layer
        for part in network.net.children()
        for name, layer in part.named_children()
        if isinstance(layer, nn.Conv2d)
    }
    for name, layer in layers.items():
        layer.load_state_dict({kind: stored[f"features.{name}.{kind}"] for kind in ("weight", "bias")})
    network.name = "LPIPS v0.1 AlexNet"
    network.local = False
    return network
