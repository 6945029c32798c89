"""Identity and stability are the paper's: of the middle frame, and of how far changes are from the recording's."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.diffusion import make_scheduler
from lightning_modules.signals import measure_signals


@pytest.mark.parametrize(("recorded", "stability"), [("still", 0.5), ("the same", 1.0), ("the other way round", 1 / 3)])
def test_signals_of_frames_that_flicker_between_black_and_white(recorded, stability):
    """White ones show the owner, the middle one among them; all change by 1, and the recording by 0, 1 or -1."""
    flicker = torch.tensor([-1.0, 1.0] * 3).view(1, 6, 1, 1, 1).expand(1, 6, 3, 2, 2)
    backbone = SimpleNamespace(
        scheduler=make_scheduler(),
        vae=SimpleNamespace(dtype=torch.float32),
        decode=lambda _: flicker,
        embed=lambda frames: F.normalize(frames.flatten(1), dim=-1),
    )
    seen = {"still": torch.ones_like(flicker), "the same": flicker, "the other way round": -flicker}[recorded]
    batch = {
        "latents": torch.randn(1, 6, 1, 2, 2),
        "has_motion": torch.ones(1),
        "identity": F.normalize(torch.ones(1, 12), dim=-1),
        "frames": ((seen + 1) * 127.5).to(torch.uint8),
    }
    signals = measure_signals(backbone, lambda noisy, *_: noisy.velocity, [batch, batch])
    assert signals == pytest.approx((1.0, stability))
