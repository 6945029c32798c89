"""Weights of updates, their weighted mean and the server's step: pure functions of the round."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

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


def weighted_mean(sum_vector: np.ndarray, weight: float, floor: float) -> np.ndarray:
    """Return sum(w delta) / max(weight, floor), float64, shape (d,).

    Args:
        sum_vector: The cohort's sum of joint vectors, shape (d + 1,).
        weight: The summed weight: its last coordinate over beta, or that smoothed over rounds (see `smooth_weight`).
        floor: Smallest denominator, in units of summed weight; noise can make the sum tiny or negative.
    """
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


def server_step(
    global_adapter: Tensor, direction: Tensor, velocity: Tensor | None, args: AggregationArgs
) -> tuple[Tensor, Tensor]:
    """Return the next global adapter and the velocity behind it, with momentum (FedAvgM, Hsu et al. 2019).

    v <- momentum v + direction, and the adapter moves by lr v.

    Args:
        global_adapter: Where the round began, shape (d,).
        direction: The weighted mean update, shape (d,).
        velocity: v of the step before, shape (d,); None before the first.
        args: Learning rate and momentum of the server.
    """
    fresh = velocity is None or args.server_momentum == 0
    velocity = direction if fresh else args.server_momentum * velocity + direction
    return global_adapter + args.server_learning_rate * velocity, velocity
