"""What follows a client's backward pass: each part's gradient is clipped, both step, and FedProx pulls back."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from federation.args import FederationArgs


@dataclass
class LocalOptimizer:
    """Steps both parts of one client, each with its own gradient clip; no step makes the host wait for a GPU.

    Args:
        optimizers: Of `shared` and, if there is one, of `personal`.
        federation: Gradient clips, and whether FedProx holds the shared part.
        proximal_mu: FedProx's mu.
        scaler: The gradient scaler of this client's losses, if 16 bit needs one.
    """

    optimizers: dict[str, Optimizer]
    federation: FederationArgs
    proximal_mu: float
    scaler: torch.amp.GradScaler | None = None
    anchors: dict[Tensor, Tensor] = field(init=False)
    """Where the shared parameters were before the first step, if FedProx asks."""

    def __post_init__(self) -> None:
        held = parameters_of(self.optimizers["shared"]) if self.federation.is_proximal else []
        self.anchors = {parameter: parameter.detach().clone() for parameter in held}

    def scale(self, loss: Tensor) -> Tensor:
        """Return a loss as its backward pass needs it."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def step(self) -> None:
        """Take one step on the gradients that are there, and forget them; a scaler skips those that overflowed."""
        limits = {"shared": self.federation.shared_gradient_clip, "personal": self.federation.personal_gradient_clip}
        for part, optimizer in self.optimizers.items():
            if self.scaler is not None:
                self.scaler.unscale_(optimizer)
            clip_grad_norm_(parameters_of(optimizer), limits[part])
        for optimizer in self.optimizers.values():
            optimizer.step() if self.scaler is None else self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        if self.scaler is not None:
            self.scaler.update()  # once, after both
        if self.anchors:
            proximal_step(self.optimizers["shared"], self.anchors, self.proximal_mu)


@torch.no_grad()
def proximal_step(optimizer: Optimizer, anchors: dict[Tensor, Tensor], mu: float) -> None:
    """Pull parameters towards their anchors: theta <- theta_0 + (theta - theta_0) / (1 + lr mu).

    The exact proximal step of FedProx's (mu/2) ||theta - theta_0||^2 (Li et al. 2020, eq. 2), after an optimizer step.
    As a penalty in the loss it would vanish in Adam's normalisation and in gradient clipping.
    With mu = 0 nothing moves, to the bit.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            strength = group["lr"] * mu
            parameter.lerp_(anchors[parameter], strength / (1 + strength))


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """Return what an optimizer steps."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
