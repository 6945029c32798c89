"""The process ends in pure noise, and velocity converts to noise and to clean latents and back."""

import pytest
import torch

from lightning_modules.diffusion import (
    add_noise,
    draw_timesteps,
    make_scheduler,
    noise_levels,
    sampling_times,
    step_down,
)


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


@pytest.mark.parametrize("steps", [1, 3, 7, 10, 13, 48])
def test_true_velocities_lead_to_the_clean_latents_in_any_number_of_steps(steps):
    """Diffusers' own steps leave .03 of noise after 7, 13 and 48."""
    scheduler, clean = make_scheduler(), torch.randn(1, 2, 3, 4, 4)
    times, z_t = sampling_times(scheduler, steps), torch.randn(1, 2, 3, 4, 4)
    assert len(times) == steps
    for now, following in zip(times, [*times[1:], None], strict=True):
        a_t, s_t = noise_levels(scheduler, torch.tensor([now]), z_t)
        z_t = step_down(scheduler, now, following, (a_t * z_t - clean) / s_t, z_t)
    assert (z_t - clean).abs().max() < 1e-4


def test_noisy_times_are_drawn_more_often():
    """With density 2 t, a quarter of them lies in the first half."""
    times = draw_timesteps(20_000, torch.device("cpu"))
    assert times.min() >= 0
    assert times.max() == 999
    assert abs((times < 500).float().mean() - 0.25) < 0.02
