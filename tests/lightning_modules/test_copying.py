"""What is expected around a copy is what regression on drawn latents finds, at every time."""

import pytest
import torch

from lightning_modules.copying import expect_copy
from lightning_modules.diffusion import add_noise, make_scheduler

COUNT = 40_000


def _drawn(time, spread):
    """Latents of one channel and pixel around two copies, at one time."""
    torch.manual_seed(0)
    copy = torch.randn(COUNT, 1, 1, 1, 1)
    clean = copy + spread * torch.randn_like(copy)
    noisy = add_noise(make_scheduler(), clean, torch.randn_like(clean), torch.full((COUNT,), time))
    return copy, noisy


@pytest.mark.parametrize("spread", [0.2, 0.7, 1.5])
@pytest.mark.parametrize("time", [0, 100, 500, 900, 999])
def test_what_is_left_is_unit_noise_that_nothing_known_predicts(time, spread):
    copy, noisy = _drawn(time, spread)
    expected, deviation = expect_copy(noisy.z_t, copy, noisy.a_t, noisy.s_t, torch.full_like(noisy.a_t, spread))
    left = ((noisy.velocity - expected) / deviation).flatten()
    known = torch.stack([noisy.z_t.flatten(), copy.flatten()])
    assert left.std().item() == pytest.approx(1, abs=0.02)
    assert torch.corrcoef(torch.cat([known, left[None]]))[2, :2].abs().max() < 0.02


def test_another_spread_leaves_something_to_predict():
    """The test above notices a wrong formula."""
    copy, noisy = _drawn(500, 0.7)
    expected, deviation = expect_copy(noisy.z_t, copy, noisy.a_t, noisy.s_t, torch.full_like(noisy.a_t, 0.2))
    left = ((noisy.velocity - expected) / deviation).flatten()
    assert left.std() > 1.5
    assert torch.corrcoef(torch.stack([noisy.z_t.flatten(), left]))[0, 1].abs() > 0.05


def test_out_of_pure_noise_comes_the_copy():
    copy, noisy = _drawn(999, 0.5)
    expected, _ = expect_copy(noisy.z_t, copy, noisy.a_t, noisy.s_t, torch.full_like(noisy.a_t, 0.5))
    torch.testing.assert_close(noisy.clean_from(expected), copy)
