"""Identity and stability are the paper's: of the middle frame, and of how far frames change in [0, 1]."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.diffusion import make_scheduler
from lightning_modules.signals import measure_signals


def test_signals_of_frames_that_flicker_between_black_and_white():
    """White ones show the owner, the middle one among them; all change by 1, so TS = 1 / (1 + 1)."""
    flicker = torch.tensor([-1.0, 1.0] * 3).view(1, 6, 1, 1, 1).expand(1, 6, 3, 2, 2)
    backbone = SimpleNamespace(
        scheduler=make_scheduler(),
        vae=SimpleNamespace(dtype=torch.float32),
        decode=lambda _: flicker,
        embed=lambda frames: F.normalize(frames.flatten(1), dim=-1),
    )
    owner = F.normalize(torch.ones(1, 12), dim=-1)
    batch = {"latents": torch.randn(1, 6, 1, 2, 2), "has_motion": torch.ones(1), "identity": owner}
    signals = measure_signals(backbone, lambda noisy, *_: noisy.velocity, [batch, batch])
    assert signals == pytest.approx((1.0, 0.5))
