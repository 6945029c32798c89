"""What training will need, from a base model's configs alone: no weights are read, nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.base_folder import design_base
from lightning_modules.draws import with_draws
from lightning_modules.efficiency.footprint import Footprint, measure_step
from lightning_modules.talking_head import TalkingHead

STATES = 3
"""Copies of a trained parameter that stay: itself and AdamW's two moments. Its gradient counts with the step."""


class PlannedHead(TalkingHead):
    """The model people train, of shapes only."""

    @staticmethod
    def _open(base: str) -> tuple[str, Backbone]:
        return "planned", design_base(base)


@dataclass(frozen=True)
class StepPlan:
    """Bytes and work of one step on one device."""

    frozen: int
    """Bytes of the frozen weights on the device."""
    on_host: int
    """Bytes of those that wait in host memory."""
    trained: int
    """Parameters that are trained; they are float32."""
    encoding: int
    """Bytes of one frame of a clip and its encoding."""
    step: Footprint

    @property
    def peak(self) -> int:
        """Return the most bytes on the device at any moment of training."""
        return self.frozen + STATES * 4 * self.trained + self.step.peak


def plan_step(
    init_args: dict[str, object], *, clips: int, frames: int, size: int, autocast: torch.dtype | None = None
) -> StepPlan:
    """Run a training step of a model without contents; every clip has known motion and shows its face.

    Args:
        init_args: Of `TalkingHead`.
        clips: Examples of a batch.
        frames: Frames of an example.
        size: Height and width of the frames, pixels.
        autocast: The 16-bit type of mixed precision; None is float32.
    """
    with torch.device("meta"):
        head = PlannedHead(**init_args | {"shared_start": None}).train()
        batch = meta_batch(head.backbone, clips, frames, size)
        footprint = measure_step(lambda: head.training_step(with_draws(batch), 0), autocast)
    hosted = {id(p): p.nbytes for stored in head.stored if stored.on_host for p in stored.layer.parameters()}
    frozen = [tensor for tensor in (*head.parameters(), *head.buffers()) if not tensor.requires_grad]
    trained = sum(parameter.numel() for parameter in head.parameters() if parameter.requires_grad)
    on_device = sum(tensor.nbytes for tensor in frozen if id(tensor) not in hosted)
    encoding = (
        sum(batch[name][0, 0].nbytes for name in ("latents", "mel", "pose", "motion")) + batch["identity"][0].nbytes
    )
    return StepPlan(on_device, sum(hosted.values()), trained, encoding + 3 * size**2, footprint)


@torch.no_grad()
def meta_batch(backbone: Backbone, clips: int, frames: int, size: int) -> dict[str, Tensor]:
    """Return a batch like those of the clients' data, on torch's default device."""
    frame = torch.empty(clips, 3, size, size)
    latents = backbone.encode(frame.to(backbone.vae.dtype)).float()
    heard = backbone.audio.config
    return {
        "latents": latents.unsqueeze(1).expand(-1, frames, -1, -1, -1).clone(),
        "reference": latents,
        "frames": frame.to(torch.uint8).unsqueeze(1).expand(-1, frames, -1, -1, -1),
        "reference_frame": frame.to(torch.uint8),
        "reference_motion": torch.empty(clips, 6),
        "identity": backbone.embed(frame.to(backbone.vae.dtype)).float(),
        "mel": torch.empty(clips, frames, heard.num_tokens * prod(heard.strides), heard.mel_bands),
        "pose": torch.empty(clips, frames, 6),
        "motion": torch.empty(clips, frames, 6),
        "has_motion": torch.ones(clips),
        "mouth": torch.empty(clips, frames),
        "has_mouth": torch.ones(clips),
    }
