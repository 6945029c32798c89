"""Compiles what a model spends its time in; its first use then takes a minute or more, and each new shape another."""

from __future__ import annotations

import os
import shutil

from lightning_modules.backbone import Backbone


def demand_compiler() -> None:
    """Raise ValueError where there is no C++ compiler, which torch needs for a CPU's code and a GPU's."""
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        raise ValueError(f"`--compile` needs a C++ compiler, {name} or what CXX names. There is none. Install one.")


def compile_backbone(backbone: Backbone) -> None:
    """Have the denoiser and the decoder compiled when they are first used.

    Adapters should be merged or attached before. Weights that are stored in 8 bit or on the host are brought in by
    hooks of their layers, which would break the graph at every one of them.
    """
    backbone.unet.compile()
    backbone.vae.decoder.compile()
