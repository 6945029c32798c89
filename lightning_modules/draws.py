"""The random numbers of one training step, drawn on the CPU, and hence the same on every device."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from lightning_modules.diffusion import draw_timesteps

IDENTITY_LOSS_BELOW = 400
"""Timesteps under which a clean estimate shows a face at all (of 1000)."""
MOTION_SHOWN = 0.9
"""Probability that a clip's motion is shown. Nearly everyone who generates has one, recorded or drawn. The gradients of
clips without are four to five times as long: where half of the clips were such, adapters learned from little else."""
POSITIONS = ("posed_rows", "visible_rows")
"""What names clips by their positions in the batch, (n,)."""


def with_draws(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a batch of `datamodules.clients`, on the CPU, with one step's draws from torch's seeded generator.

    These are `timestep` (batch,), `eps`, shaped like the latents, and `shown` (batch,): the motion is hidden now and
    then, so that one adapter serves both ways of generating. What follows is there, too, as positions of clips in the
    batch: `posed_rows`, whose motion is shown, and `visible_rows`, whose noise is low enough to show a face. A host
    that asked a GPU for these would wait for it in every step.
    """
    clean = batch["latents"]
    timestep = draw_timesteps(len(clean), clean.device)
    eps = torch.randn_like(clean)
    shown = batch["has_motion"] * (torch.rand(len(clean), device=clean.device) < MOTION_SHOWN).to(clean)
    rows = {
        "posed_rows": shown.nonzero().flatten(),
        "visible_rows": (timestep < IDENTITY_LOSS_BELOW).nonzero().flatten(),
    }
    return batch | {"timestep": timestep, "eps": eps, "shown": shown} | rows


def join_batches(batches: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return several batches with draws as one, in their order."""
    starts = accumulate([len(batch["latents"]) for batch in batches], initial=0)
    shifted = [
        batch | {name: batch[name] + start for name in POSITIONS} for batch, start in zip(batches, starts, strict=False)
    ]
    return {name: torch.cat([batch[name] for batch in shifted]) for name in batches[0]}
