"""The diffusion process: velocity prediction on a schedule that really ends in noise, or a checkpoint's own.

z_t = a_t z_0 + s_t eps with a_t^2 + s_t^2 = 1;  v = a_t eps - s_t z_0  (Salimans & Ho, arXiv 2202.00512, appendix D).
Betas are rescaled to zero terminal signal (Lin et al., arXiv 2305.08891, algorithm 1), timesteps trail. A checkpoint
brings its betas (`schedules`), and may predict eps: losses and sampler see velocities all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor


def make_scheduler() -> DDIMScheduler:
    """Return the schedule of a base trained from scratch; it is kept on the host, which reads it at every step."""
    with torch.device("cpu"):
        return DDIMScheduler(
            num_train_timesteps=1000,
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
            clip_sample=False,
            set_alpha_to_one=True,
        )


def demand_schedule(scheduler: DDIMScheduler) -> None:
    """Raise ValueError unless velocities follow, at all times, from what a denoiser of this schedule predicts."""
    kind, steps = scheduler.config.prediction_type, scheduler.config.num_train_timesteps
    if kind not in ("epsilon", "v_prediction") or steps != 1000:
        raise ValueError(f"A denoiser must predict epsilon or v_prediction in 1000 steps. Got {kind} in {steps}.")
    if kind == "epsilon" and scheduler.alphas_cumprod[-1] == 0:
        raise ValueError("A denoiser that predicts epsilon cannot start from pure noise. Got zero terminal SNR.")


def velocity_of(scheduler: DDIMScheduler, predicted: Tensor, z_t: Tensor, a_t: Tensor, s_t: Tensor) -> Tensor:
    """Return the velocity that a denoiser's prediction amounts to; all arguments as in `NoisyLatents`.

    From noise, v = (eps - s z) / a. Its error is that of the noise over a: fifteen times as large at the last step of
    Stable Diffusion's schedule, where a = 0.068. `demand_schedule` sees to it that a > 0.
    """
    if scheduler.config.prediction_type == "epsilon":
        return (predicted - s_t * z_t) / a_t
    return predicted


def sampling_times(scheduler: DDIMScheduler, steps: int) -> list[int]:
    """Return the training timesteps at which a sampler of so many steps looks, the noisiest first."""
    fresh = DDIMScheduler.from_config(scheduler.config)  # setting them would change the scheduler
    fresh.set_timesteps(steps)
    return fresh.timesteps.tolist()


def step_down(scheduler: DDIMScheduler, now: int, following: int | None, velocity: Tensor, z_t: Tensor) -> Tensor:
    """Return the latents one DDIM step nearer to clean ones (Song et al., arXiv 2010.02502, eq. 12, eta = 0).

    diffusers' own step goes down by the same number of timesteps each time. Where that is rounded, as for 13 steps or
    48, it ends short of clean, with 3 % of noise. Times are numbers: a tensor on a GPU would have to be waited for.

    Args:
        scheduler: Gives the signal level of each training timestep.
        now: The timestep of `z_t`.
        following: The next of `sampling_times`; None after the last.
        velocity: v at `now`, of the shape of `z_t`.
        z_t: Latents of any shape.
    """
    below = scheduler.final_alpha_cumprod if following is None else scheduler.alphas_cumprod[following]
    signals = scheduler.alphas_cumprod[now].item(), below.item()
    (a_t, s_t), (a, s) = ((signal**0.5, (1 - signal) ** 0.5) for signal in signals)
    return a * (a_t * z_t - s_t * velocity) + s * (s_t * z_t + a_t * velocity)


@dataclass(frozen=True)
class NoisyLatents:
    """Latents at one time of the process, all of shape (batch, frames, channels, height, width)."""

    z_t: Tensor
    z_0: Tensor
    eps: Tensor
    timestep: Tensor
    """Training timesteps, integers in [0, 1000), shape (batch,)."""
    a_t: Tensor
    """Signal level, shape (batch, 1, 1, 1, 1)."""
    s_t: Tensor
    """Noise level, shape (batch, 1, 1, 1, 1)."""
    predicts_noise: bool = False
    """Whether the denoiser predicts noise; else velocity."""

    @property
    def velocity(self) -> Tensor:
        """Return v."""
        return self.a_t * self.eps - self.s_t * self.z_0

    def noise_from(self, velocity: Tensor) -> Tensor:
        """Return eps^ = s_t z_t + a_t v^."""
        return self.s_t * self.z_t + self.a_t * velocity

    def clean_from(self, velocity: Tensor) -> Tensor:
        """Return z_0^ = a_t z_t - s_t v^."""
        return self.a_t * self.z_t - self.s_t * velocity

    def regress(self, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Return prediction and target of the denoising loss: of what the denoiser predicts, as it was trained.

        The velocity of one that predicts noise is off by 1 / a_t times as much: the noisiest steps would be all that
        counts.
        """
        return (self.noise_from(velocity), self.eps) if self.predicts_noise else (velocity, self.velocity)


def add_noise(scheduler: DDIMScheduler, z_0: Tensor, eps: Tensor, timestep: Tensor) -> NoisyLatents:
    """Carry clean latents to time t.

    Args:
        scheduler: Gives the signal level of each training timestep.
        z_0: Clean latents (batch, frames, channels, height, width).
        eps: Standard normal noise of the same shape.
        timestep: Integers in [0, 1000), shape (batch,); one time for all frames of a clip.
    """
    a_t, s_t = noise_levels(scheduler, timestep, z_0)
    return NoisyLatents(
        z_t=a_t * z_0 + s_t * eps,
        z_0=z_0,
        eps=eps,
        timestep=timestep,
        a_t=a_t,
        s_t=s_t,
        predicts_noise=scheduler.config.prediction_type == "epsilon",
    )


def noise_levels(scheduler: DDIMScheduler, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return a_t and s_t at training timesteps (batch,), each (batch, 1, 1, 1, 1), of the type of `like`."""
    levels = scheduler.alphas_cumprod.to(like.device, non_blocking=True)  # the host need not wait for 1000 numbers
    signal = levels[timestep].to(like.dtype).view(-1, 1, 1, 1, 1)
    return signal.sqrt(), (1 - signal).sqrt()


def draw_timesteps(batch: int, device: torch.device) -> Tensor:
    """Draw one training timestep per clip from torch's seeded generator, shape (batch,), with density 2 t.

    Where the head is and whether the mouth is open is settled while noise still hides it, in the first fifth of the
    way; drawn evenly, few steps would teach it.
    """
    return (1000 * torch.rand(batch, device=device).sqrt()).long().clamp_max(999)
