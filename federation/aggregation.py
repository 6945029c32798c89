"""Weights of updates, their weighted mean and the server's step: pure functions of the round."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from federation.args import AggregationArgs
from federation.update import ClientSignals


def isfa_weight(num_examples: int, signals: ClientSignals, args: AggregationArgs) -> float:
    """Return w = min(n, n_max)/n_max * exp(gamma (s - 1)) in (0, 1], s = clamp(alpha ID + (1 - alpha) TS, 0, 1).

    It is PrivFedTalk's ISFA weight up to a factor common to all clients, bounded so that a clipped sum can carry it.
    gamma = 0 is FedAvg, whatever the signals. A score that is not a number counts as 0.
    """
    score = args.alpha * signals.identity + (1 - args.alpha) * signals.stability
    score = min(max(score, 0.0), 1.0) if math.isfinite(score) else 0.0
    return min(num_examples, args.max_examples) / args.max_examples * math.exp(args.gamma * (score - 1))


def joint_vector(delta: Tensor, weight: float, beta: float) -> np.ndarray:
    """Return [weight * delta, beta * weight], float64, shape (d + 1,): all that a client's message is about."""
    joint = np.empty(delta.numel() + 1)
    np.multiply(delta.numpy(force=True), weight, out=joint[:-1], dtype=joint.dtype)
    joint[-1] = beta * weight
    return joint


def weighted_mean(
    sum_vector: np.ndarray, beta: float, floor: float = 1e-6, smoothed_weight: float | None = None
) -> np.ndarray:
    """Return sum(w delta) / max(sum(w), floor), float64, shape (d,).

    Args:
        sum_vector: The cohort's sum of joint vectors, shape (d + 1,).
        beta: Scale of the weight coordinate.
        floor: Smallest denominator, in units of summed weight; noise can make the sum tiny or negative.
        smoothed_weight: Takes the place of this round's summed weight (see `smooth_weight`).
    """
    weight = sum_vector[-1] / beta if smoothed_weight is None else smoothed_weight
    return sum_vector[:-1] / max(weight, floor)


def signal_share(noisy: np.ndarray, deviation: float) -> float:
    """Return how much of a noisy vector to keep, in [0, 1]: max(0, 1 - (d - 2) sigma^2 / |y|^2).

    The positive-part James-Stein estimator (James and Stein 1961; for released sums Balle and Wang, arXiv 1805.06530,
    section 4): in the mean never farther from the truth than the vector itself, and next to nothing where that is next
    to nothing but noise. It sees what is released and public alone, so it costs no privacy.

    Args:
        noisy: The vector y, shape (d,).
        deviation: Standard deviation sigma of the noise in each coordinate; without any, all is kept.
    """
    noise = max(noisy.size - 2, 0) * deviation**2
    return 1.0 if noise == 0 else max(0.0, 1 - noise / max(float(np.dot(noisy, noisy)), noise))


def smooth_weight(previous: float | None, weight: float, ema: float) -> float:
    """Return the summed weight averaged over rounds; `ema` in [0, 1), 0 keeps this round's."""
    return weight if previous is None else ema * previous + (1 - ema) * weight


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


@dataclass
class ServerOptimizer:
    """Moves the global adapter along the weighted mean update, with momentum (FedAvgM, Hsu et al. 2019)."""

    learning_rate: float = 1.0
    momentum: float = 0.0
    velocity: Tensor | None = None

    def step(self, global_adapter: Tensor, direction: Tensor) -> Tensor:
        """Return global_adapter + lr * v with v <- momentum * v + direction; keeps v."""
        fresh = self.velocity is None or self.momentum == 0
        self.velocity = direction.clone() if fresh else self.momentum * self.velocity + direction
        return global_adapter + self.learning_rate * self.velocity
