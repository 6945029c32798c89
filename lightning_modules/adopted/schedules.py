"""The schedule of a denoiser that others trained: its betas and what it predicts, sampled like ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import DDIMScheduler

from lightning_modules.diffusion import demand_schedule, make_scheduler

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
