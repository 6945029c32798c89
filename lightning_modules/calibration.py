"""What stage 0 measures on public people between two trainings, so that the denoiser works with unit variances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lightning_modules.backbone import Backbone
from lightning_modules.reference import Reference


@torch.no_grad()
def set_latent_scale(backbone: Backbone, frames: Tensor) -> None:
    """Scale latents to unit deviation on frames (batch, 3, height, width) in [-1, 1]: the noise's own size."""
    backbone.vae.register_to_config(scaling_factor=1.0)
    frames = frames.to(next(backbone.vae.parameters()).device)
    deviation = torch.cat([backbone.encode(chunk) for chunk in frames.split(32)]).std().item()
    backbone.vae.register_to_config(scaling_factor=1 / deviation)


@torch.no_grad()
def expect_copies(backbone: Backbone, batches: Iterable[dict[str, Tensor]]) -> None:
    """Let the denoiser start from the moved reference (`copying.expect_copy`): what it learned to predict is forgotten.

    Args:
        backbone: With autoencoder, face encoder and pose reader trained.
        batches: Training windows of public people, as `PublicPeople.draw_windows` gives them.
    """
    still, moved = [], []
    for batch in batches:
        batch = {name: part.to(backbone.device) for name, part in batch.items()}
        known = batch["has_motion"].nonzero().flatten()
        beside = backbone.beside(Reference.of_batch(batch), batch["motion"], known)
        copies = beside[:, :, : 2 * batch["latents"].shape[2]].unflatten(2, (2, -1))
        errors = (copies - batch["latents"].unsqueeze(2)).square().mean(dim=(1, 3, 4, 5))
        still.append(errors[:, 0])
        moved.append(errors[known, 1])
    away = torch.cat(still).mean().sqrt().item()
    posed = torch.cat(moved)
    spread = (away, posed.mean().sqrt().item() if len(posed) else away)
    backbone.shape = replace(backbone.shape, spread=spread)
    nn.init.zeros_(backbone.unet.conv_out.weight)
    nn.init.zeros_(backbone.unet.conv_out.bias)
