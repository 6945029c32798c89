"""A checkpoint's betas and prediction are kept; what cannot be turned into velocities is refused."""

import pytest
import torch
from diffusers import PNDMScheduler

from lightning_modules.adopted.schedules import adopt_schedule
from lightning_modules.diffusion import add_noise, sampling_times, step_down, velocity_of

STABLE_DIFFUSION = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "steps_offset": 1,
    "set_alpha_to_one": False,
}


def _config(**settings):
    return dict(PNDMScheduler(skip_prk_steps=True, **STABLE_DIFFUSION | settings).config)


def test_betas_are_the_checkpoints_and_it_predicts_epsilon():
    adopted = adopt_schedule(_config())
    torch.testing.assert_close(adopted.alphas_cumprod, PNDMScheduler(**STABLE_DIFFUSION).alphas_cumprod)
    assert adopted.alphas_cumprod[-1].sqrt() == pytest.approx(0.068, abs=1e-3)
    assert adopted.config.prediction_type == "epsilon"
    adopted.set_timesteps(4)
    assert adopted.timesteps.tolist() == [999, 749, 499, 249]


def test_animatediffs_betas_can_be_asked_for():
    linear = adopt_schedule(_config(), beta_schedule="linear")
    torch.testing.assert_close(linear.betas, torch.linspace(0.00085, 0.012, 1000))


def test_v_prediction_is_taken_over():
    assert adopt_schedule(_config(prediction_type="v_prediction")).config.prediction_type == "v_prediction"


def test_zero_terminal_snr_goes_with_velocities():
    adopted = adopt_schedule(_config(), zero_terminal_snr=True)
    assert adopted.alphas_cumprod[-1] == 0
    assert adopted.config.prediction_type == "v_prediction"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prediction_type": "sample"}, "epsilon or v_prediction"),
        ({"rescale_betas_zero_snr": True}, "zero terminal SNR"),
        ({"num_train_timesteps": 500}, "1000 steps"),
    ],
)
def test_what_gives_no_velocity_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        adopt_schedule(_config() | settings)


def _noisy(scheduler, timestep):
    clean, eps = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4)
    return clean, eps, add_noise(scheduler, clean, eps, torch.tensor([timestep]))


@pytest.mark.parametrize("timestep", [0, 200, 999])
def test_noise_and_the_velocity_it_amounts_to_tell_the_same(timestep):
    scheduler = adopt_schedule(_config())
    clean, eps, noisy = _noisy(scheduler, timestep)
    velocity = velocity_of(scheduler, eps, noisy.z_t, noisy.a_t, noisy.s_t)
    torch.testing.assert_close(velocity, noisy.velocity, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(noisy.noise_from(velocity), eps, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(noisy.clean_from(velocity), clean, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("timestep", [0, 200, 999])
def test_the_loss_is_of_what_is_predicted(timestep):
    """An error of one in what the denoiser predicts is a loss of one, at all times."""
    for scheduler in (adopt_schedule(_config()), adopt_schedule(_config(prediction_type="v_prediction"))):
        _, eps, noisy = _noisy(scheduler, timestep)
        truth = eps if scheduler.config.prediction_type == "epsilon" else noisy.velocity
        prediction, target = noisy.regress(velocity_of(scheduler, truth + 1, noisy.z_t, noisy.a_t, noisy.s_t))
        torch.testing.assert_close(prediction - target, torch.ones_like(target), atol=1e-4, rtol=0)


def test_steps_by_velocity_are_the_schedulers_own_steps_by_noise():
    own = adopt_schedule(_config())
    own.set_timesteps(4)
    times = sampling_times(own, 4)
    assert times == own.timesteps.tolist()
    for now, following in zip(times, [*times[1:], None], strict=True):
        _, _, noisy = _noisy(own, now)
        predicted = torch.randn_like(noisy.eps)
        velocity = velocity_of(own, predicted, noisy.z_t, noisy.a_t, noisy.s_t)
        expected = own.step(predicted, now, noisy.z_t).prev_sample
        torch.testing.assert_close(step_down(own, now, following, velocity, noisy.z_t), expected, atol=1e-4, rtol=1e-4)
