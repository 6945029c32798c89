"""Compiles what a model spends its time in; its first use then takes a minute or more, and each new shape another."""

from __future__ import annotations

from lightning_modules.backbone import Backbone


def compile_backbone(backbone: Backbone) -> None:
    """Have the denoiser and the decoder compiled when they are first used.

    Adapters should be merged or attached before. Weights that are stored in 8 bit or on the host are brought in by
    hooks of their layers, which would break the graph at every one of them.
    """
    backbone.unet.compile()
    backbone.vae.decoder.compile()
