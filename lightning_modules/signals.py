"""What ISFA weighs a client by: whether its model shows the right face, and shows it steadily."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.diffusion import NoisyLatents, add_noise
from lightning_modules.losses import identity_loss

TIMESTEP = 200
"""Of 1000: little enough noise to show a face, enough for the model to have a say."""


def measure_signals(
    backbone: Backbone,
    predict: Callable[[NoisyLatents, dict[str, Tensor], Tensor], Tensor],
    batches: Iterable[dict[str, Tensor]],
) -> tuple[float, float]:
    """Return identity and stability of a model on a client's clips, each in [0, 1] (PrivFedTalk, ID_k and TS_k).

    ID = (1 + cos) / 2 between the estimated clean middle frame and the reference; TS = 1 / (1 + J) with J the mean
    absolute difference between the estimate's and the recording's change from frame to frame, frames in [0, 1]: by the
    estimate's change alone, a picture that stands still would be the steadiest speaker.

    Args:
        backbone: Decodes the estimates.
        predict: Returns the velocity (batch, frames, C, h, w), given noisy latents, their batch and where motion is
            known, (batch,).
        batches: As in training, without draws.

    Raises:
        ValueError: If there is no batch.
    """
    identity, jitter, count = 0.0, 0.0, 0
    for batch in batches:
        clean = batch["latents"]
        timestep = torch.full((len(clean),), TIMESTEP, device=clean.device)
        noisy = add_noise(backbone.scheduler, clean, torch.randn_like(clean), timestep)
        estimate = noisy.clean_from(predict(noisy, batch, batch["has_motion"]))
        frames = backbone.decode(estimate.to(backbone.vae.dtype)).clamp(-1, 1)
        faces = backbone.embed(frames[:, frames.shape[1] // 2])
        identity += 1 - identity_loss(faces, batch["identity"]).item()
        recorded = batch["frames"].to(frames) / 127.5 - 1
        jitter += ((frames - recorded).diff(dim=1).abs().mean() / 2).item()
        count += 1
    if not count:
        raise ValueError("signals() needs at least one batch. Got none.")
    return identity / count, 1 / (1 + jitter / count)
