"""What must be right before anything is timed: 16 bit against 32, clients at once against in turn, GPU against CPU."""

from __future__ import annotations

import copy
from statistics import median

import torch
from lightning.fabric import Fabric
from torch import Tensor

from benchmarks.report import Bar
from benchmarks.synthetic import Size, SyntheticClients, draw_batch
from lightning_modules.draws import with_draws
from lightning_modules.reference import Reference
from lightning_modules.talking_head import TalkingHead

HALF_ERROR = {torch.bfloat16: 0.05, torch.float16: 0.01}
"""Largest relative difference of a prediction from float32's: some 13 and 10 roundings of each type."""


def check_half_precision(size: Size, device: torch.device, dtype: torch.dtype) -> Bar:
    """Compare the predicted velocity of one batch, in 16 bit under autocast, with float32's."""
    head = size.build_head(device)
    stir(head)
    batch = place(draw_batch(head.backbone, 1, size.frames), device)
    timestep, eps = torch.full((1,), 500, device=device), torch.randn_like(batch["latents"])
    exact = predict(head, batch, timestep, eps)
    with torch.autocast(device.type, dtype):
        rounded = predict(head, batch, timestep, eps)
    name = f"prediction in {str(dtype).removeprefix('torch.')} against float32, relative difference"
    return Bar.at_most(name, difference(rounded.float(), exact), HALF_ERROR[dtype])


def check_groups(size: Size, fabric: Fabric, dtype: torch.dtype, bound: float) -> Bar:
    """Compare the adapters of three clients after three steps, trained at once and in turn, as in a later round.

    In float64 the worst of them counts, and hardly differs. In float32 it is the median, which only shows that clients
    are kept apart: Adam makes much of a rounded gradient that is almost zero.
    """
    torch.manual_seed(0)
    head = size.build_head(fabric.device).to(dtype)
    cohort = SyntheticClients(fabric, head, clips=1, frames=size.frames, clients=3, steps=3)
    start = cohort.state.global_adapter = 0.02 * torch.randn_like(cohort.state.global_adapter)
    pairs = zip(cohort.train(3), cohort.train(1), strict=True)
    found = []
    for (ours, mine), (theirs, his) in pairs:
        found.append(difference(start + ours, start + theirs))
        found.append(difference(mine.joined().personal[0], his.joined().personal[0]))
    name = f"adapters of clients trained at once, {str(dtype).removeprefix('torch.')}, relative difference"
    return Bar.at_most(name, max(found) if dtype == torch.float64 else median(found), bound)


def check_against_cpu(size: Size, device: torch.device) -> Bar:
    """Compare the gradient of one step, in float32, with the CPU's; draws are the same on every device."""
    torch.manual_seed(0)
    head = size.build_head("cpu")
    stir(head)
    batch = with_draws(draw_batch(head.backbone, 1, size.frames))
    gradients = []
    for place_of in (torch.device("cpu"), device):
        own = copy.deepcopy(head).to(place_of)
        own.training_step(place(batch, place_of), 0).backward()
        gradients.append(torch.cat([p.grad.flatten().cpu() for p in own.personal_parameters()]))
    return Bar.at_most(f"gradient on {device.type} against the CPU, relative difference", difference(*gradients), 1e-3)


def stir(head: TalkingHead) -> None:
    """Give adapters weights that matter; fresh ones change nothing."""
    with torch.no_grad():
        for parameter in [*head.shared_parameters(), *head.personal_parameters()]:
            parameter.normal_(std=0.02)


def predict(head: TalkingHead, batch: dict[str, Tensor], timestep: Tensor, eps: Tensor) -> Tensor:
    """Return the velocity that a head predicts for noisy latents."""
    reference = Reference.of_batch(batch)
    with torch.no_grad():
        conditions = head.backbone.conditions(reference, batch["mel"], batch["motion"], batch["has_motion"])
        return head.backbone.predict(eps, timestep, conditions)


def place(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return a batch on a device."""
    return {name: part.to(device) for name, part in batch.items()}


def difference(one: Tensor, other: Tensor) -> float:
    """Return the norm of a difference in units of the other's norm."""
    return ((one - other).double().norm() / other.double().norm()).item()
