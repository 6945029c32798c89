"""What stage 0 measures on public people between two trainings, so that the denoiser works with unit variances."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lightning_modules.backbone import Backbone
from lightning_modules.copying import CopySpread
from lightning_modules.reference import Reference

DOUBT = 0.3
"""Share of the usual distance that is expected everywhere: others may move where the public people never do."""


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
        batches: Training windows of public people, as `PublicWindows.draw` gives them.
    """
    of_still, of_moved = [], []
    for batch in batches:
        batch = {name: part.to(backbone.device) for name, part in batch.items()}
        posed_rows = batch["has_motion"].nonzero().flatten()
        extra_channels = backbone.make_extra_channels(Reference.of_batch(batch), batch["motion"], posed_rows)
        copies = extra_channels[:, :, : 2 * batch["latents"].shape[2]].unflatten(2, (2, -1))
        errors = (copies - batch["latents"].unsqueeze(2)).square().mean(dim=1)
        of_still.append(errors[:, 0])
        of_moved.append(errors[posed_rows, 1])
    still, moved = torch.cat(of_still), torch.cat(of_moved)
    channels, side = still.shape[1:3]
    backbone.spread = CopySpread(channels, side).to(backbone.device)
    backbone.spread.still.copy_(_deviation(still))
    backbone.spread.moved.copy_(_deviation(moved if len(moved) else still))
    nn.init.zeros_(backbone.unet.conv_out.weight)
    nn.init.zeros_(backbone.unet.conv_out.bias)


def _deviation(squares: Tensor) -> Tensor:
    """Return the root of the mean over clips (n, C, h, w), and of a share of the mean over all of it."""
    return (squares.mean(0) + DOUBT**2 * squares.mean()).sqrt()
