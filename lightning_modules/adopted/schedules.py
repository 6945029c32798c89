"""The schedule of a denoiser that others trained: its betas and what it predicts, sampled like ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import DDIMScheduler

from lightning_modules.diffusion import make_scheduler

LEARNED = (
    *("num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas"),
    *("prediction_type", "rescale_betas_zero_snr"),
)
"""Settings that a denoiser was trained with; how it is sampled is another matter."""


def adopt_schedule(
    config: Mapping[str, Any], *, beta_schedule: str | None = None, zero_terminal_snr: bool = False
) -> DDIMScheduler:
    """Return the schedule that a checkpoint was trained with, sampled from the last step to clean latents.

    Args:
        config: The checkpoint's own scheduler's, of whatever class.
        beta_schedule: In place of the checkpoint's.
        zero_terminal_snr: End in pure noise. The denoiser then has to predict velocities, which one that predicts
            epsilon has yet to learn: until it is trained, it makes nothing of use.

    Raises:
        ValueError: As `demand_schedule`.
    """
    kept = {"prediction_type": "epsilon", "rescale_betas_zero_snr": False}
    kept |= {name: config[name] for name in LEARNED if name in config}
    if beta_schedule is not None:
        kept["beta_schedule"] = beta_schedule
    if zero_terminal_snr:
        kept |= {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    scheduler = DDIMScheduler.from_config({**make_scheduler().config, **kept})
    demand_schedule(scheduler)
    return scheduler


def demand_schedule(scheduler: DDIMScheduler) -> None:
    """Raise ValueError unless velocities follow, at all times, from what a denoiser of this schedule predicts."""
    kind, steps = scheduler.config.prediction_type, scheduler.config.num_train_timesteps
    if kind not in ("epsilon", "v_prediction") or steps != 1000:
        raise ValueError(f"A denoiser must predict epsilon or v_prediction in 1000 steps. Got {kind} in {steps}.")
    if kind == "epsilon" and scheduler.alphas_cumprod[-1] == 0:
        raise ValueError("A denoiser that predicts epsilon cannot start from pure noise. Got zero terminal SNR.")
