"""Pictures of any type come to the size that an encoder takes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.identity import IdentityEncoder
from lightning_modules.pose import PoseReader
from lightning_modules.resizing import resize


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_type_is_scaled_and_kept(dtype):
    pictures = torch.rand(2, 3, 12, 20).to(dtype)
    scaled = resize(pictures, 8)
    expected = F.interpolate(pictures.double(), (8, 8), mode="bilinear", antialias=True)
    assert scaled.dtype == dtype
    torch.testing.assert_close(scaled.double(), expected, atol=torch.finfo(dtype).eps + 1e-6, rtol=0)
    assert resize(scaled, 8) is scaled


@pytest.mark.parametrize("kind", [IdentityEncoder, PoseReader])
def test_large_frames_are_read_in_sixteen_bit_on_a_cpu(kind):
    reader, frames = kind(), torch.rand(2, 3, 96, 96)
    exact = reader(frames)
    near = reader.to(torch.bfloat16)(frames.to(torch.bfloat16))
    assert near.dtype == torch.bfloat16
    torch.testing.assert_close(near.float(), exact, atol=0.05, rtol=0)
