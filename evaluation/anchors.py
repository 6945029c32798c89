"""What any generator is held against: noise, a static copy, the clip through the VAE, and the clip before its file."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.clips import truth_of
from datamodules.demo.people import read_marker
from datamodules.demo.person import draw_person
from datamodules.demo.recording import record
from evaluation.cases import Case
from lightning_modules.backbone import Backbone

NOISE = "noise"
STATIC = "static copy"
AUTOENCODER = "through the VAE"
CLEAN = "clean render"
RECORDED = "recorded"


def noise(case: Case) -> Tensor:
    """Return frames of uniform noise."""
    return torch.randint(256, case.frames.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def static_copy(case: Case) -> Tensor:
    """Return the reference frame, again and again."""
    return case.reference.expand_as(case.frames)


@torch.no_grad()
def through_autoencoder(backbone: Backbone, frames: Tensor) -> Tensor:
    """Return uint8 frames encoded to the posterior mean and decoded again: the best that any denoiser can do."""
    inputs = frames.to(backbone.device) / 127.5 - 1
    decoded = torch.cat([backbone.decode(backbone.encode(chunk)) for chunk in inputs.split(32)])
    return ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()


def drawn_seed(case: Case) -> int | None:
    """Return the seed of a demo person, from the truth file beside the clip; None for anybody else."""
    seed = (read_marker(truth_of(case.clip.path)) or {}).get("seed")
    return None if seed is None else int(seed)


def clean_render(case: Case) -> Tensor:
    """Return the frames as they were drawn, before they were written as a video: what H.264 alone costs.

    Raises:
        ValueError: If nobody drew them.
    """
    seed = drawn_seed(case)
    if seed is None:
        raise ValueError(f"Only clips of demo people can be drawn again. Got {case.clip.path}.")
    number = int(case.clip.name.removeprefix("clip_"))
    drawn = record(draw_person(seed), number, size=case.frames.shape[-1], frames=len(case.clip.frames)).frames
    return drawn[case.start : case.start + len(case.frames)]
