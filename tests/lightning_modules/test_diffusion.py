"""The process ends in pure noise, and velocity converts to noise and to clean latents and back."""

import torch

from lightning_modules.diffusion import add_noise, make_scheduler


def _noisy(timestep: int):
    clean, eps = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4)
    return clean, eps, add_noise(make_scheduler(), clean, eps, torch.tensor([timestep]))


def test_the_last_step_holds_no_signal():
    _, eps, noisy = _noisy(999)
    assert torch.equal(noisy.z_t, eps)


def test_the_first_step_is_almost_clean():
    clean, _, noisy = _noisy(0)
    assert (noisy.z_t - clean).abs().mean() < 0.05


def test_true_velocity_gives_back_noise_and_latents_at_every_time():
    for timestep in (0, 200, 500, 999):
        clean, eps, noisy = _noisy(timestep)
        torch.testing.assert_close(noisy.noise_from(noisy.velocity), eps, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(noisy.clean_from(noisy.velocity), clean, atol=1e-5, rtol=1e-4)
