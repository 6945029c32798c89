"""Randomness of training: it follows from (seed, round, client, purpose), never from the device or the order.

Keys, masks, coins and noise are another matter and never come from here.
"""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import torch


def derive_seed(seed: int, round_index: int, client: str, purpose: str) -> int:
    """Return a seed in [0, 2^63) that is unrelated for any two different arguments (SHA-256)."""
    message = json.dumps([seed, round_index, client, purpose]).encode()
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 1


def seed_training(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # torch would note a stack trace for each kind of device that it might find later
        torch.default_generator.manual_seed(seed)
