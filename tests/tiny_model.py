"""A backbone with every part of the shipped one and almost no weights, for tests."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from lightning_modules.base_folder import new_base, save_base
from lightning_modules.parts import BackboneShape
from lightning_modules.pretraining.small import SMALL


def tiny_configs() -> dict[str, dict]:
    """Return the shipped configs, narrow: 8 to 16 channels, one level of the denoiser with attention."""
    configs = copy.deepcopy(SMALL)
    configs["vae"] |= {"block_out_channels": [8, 8], "norm_num_groups": 4, "latent_channels": 4}
    configs["unet"] |= {
        "in_channels": 15,
        "out_channels": 4,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlockMotion", "CrossAttnDownBlockMotion"],
        "up_block_types": ["CrossAttnUpBlockMotion", "UpBlockMotion"],
        "norm_num_groups": 4,
        "cross_attention_dim": 16,
        "num_attention_heads": 2,
        "motion_num_attention_heads": 2,
    }
    for name in ("audio", "identity", "motion"):
        configs[name] |= {"token_dim": 16}
    configs["audio"] |= {"channels": 16}
    for name in ("encoder", "pose"):
        configs[name] |= {"channels": [8, 8, 8, 8]}
    configs["mover"] = {"channels": [8, 8]}
    return configs


def make_tiny_base(folder: Path) -> Path:
    """Write a tiny base model with random weights, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_base(new_base(BackboneShape(size=64, window=8), tiny_configs()), folder)
    return folder
