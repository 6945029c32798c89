"""Networks of others get what they were trained on; their weights are made up here."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from evaluation.judges.pretrained import ArcFaceJudge, Inception, load_lpips
from evaluation.metrics.perceptual import perceptual_distance


def test_arcface_gets_the_middle_of_the_face_at_112_pixels(tmp_path, monkeypatch):
    given = []

    class Session:
        def __init__(self, path, providers):
            assert path.endswith("buffalo_l/w600k_r50.onnx")

        def get_inputs(self):
            return [SimpleNamespace(name="pixels")]

        def run(self, outputs, inputs):
            given.append(inputs["pixels"])
            return [np.full((len(given[-1]), 512), 2.0, np.float32)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    judge = ArcFaceJudge(tmp_path / "buffalo_l" / "w600k_r50.onnx")
    frames = torch.zeros(40, 3, 64, 64, dtype=torch.uint8)
    frames[:, 0, 20:40, 20:40] = 255
    embedded = judge.embed(frames)
    assert embedded.shape == (40, 512)
    assert torch.allclose(embedded.norm(dim=-1), torch.ones(40))
    assert [part.shape for part in given] == [(32, 3, 112, 112), (8, 3, 112, 112)]
    assert given[0][0, 0, 56, 56] == pytest.approx(1)  # red first, in [-1, 1]
    assert given[0][0, 1, 56, 56] == pytest.approx(-1)
    assert judge.name == "ArcFace buffalo_l/w600k_r50, not aligned"


def test_lpips_over_alexnet_takes_its_weights(tmp_path):
    models = pytest.importorskip("torchvision.models")
    alexnet = models.alexnet(weights=None)
    save_file(alexnet.state_dict(), tmp_path / "alexnet.safetensors")
    network = load_lpips(tmp_path / "alexnet.safetensors")
    assert torch.equal(network.net.slice1[0].weight, alexnet.features[0].weight)
    frames = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    assert perceptual_distance(network, frames, frames) == 0
    assert perceptual_distance(network, frames, 255 - frames) > 0


@pytest.mark.slow
def test_inception_takes_its_weights(tmp_path):
    models = pytest.importorskip("torchvision.models")
    save_file(models.inception_v3(weights=None, init_weights=False).state_dict(), tmp_path / "inception_v3.safetensors")
    features = Inception(tmp_path / "inception_v3.safetensors")(torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8))
    assert features.shape == (2, 2048)
