"""Stable Diffusion's denoiser made ours: motion modules, more input channels, and streams that say nothing yet."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
from torch import Tensor, nn

from lightning_modules.conditioning import STREAM_TOKENS, install_streams
from lightning_modules.head_motion import SURFACE_CHANNELS


def make_denoiser(
    unet: UNet2DConditionModel, adapter: MotionAdapter, streams: Mapping[str, Tensor] | None = None
) -> UNetMotionModel:
    """Return a denoiser with our inputs whose output, whatever is in the new ones, is AnimateDiff's.

    Args:
        unet: Of the checkpoint.
        adapter: AnimateDiff's motion modules (arXiv 2307.04725).
        streams: Weights of streams that others trained, by name; the output is then no longer AnimateDiff's.

    Raises:
        ValueError: If motion modules or streams do not fit the checkpoint.
    """
    denoiser = UNetMotionModel.from_unet2d(unet, adapter)
    widen_input(denoiser, 3 * unet.config.in_channels + SURFACE_CHANNELS)
    add_silent_streams(denoiser)
    unexpected = denoiser.load_state_dict(streams or {}, strict=False).unexpected_keys
    if unexpected:
        raise ValueError(f"The streams do not fit the checkpoint's denoiser: unexpected {unexpected[:3]}.")
    return denoiser


@torch.no_grad()
def widen_input(unet: UNetMotionModel, channels: int) -> None:
    """Let the first layer take more channels. The new ones weigh nothing: the output stays what it was."""
    old = unet.conv_in
    new = nn.Conv2d(channels, old.out_channels, old.kernel_size, padding=old.padding).to(old.weight)
    new.weight.zero_()[:, : old.in_channels] = old.weight
    new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=channels)


@torch.no_grad()
def add_silent_streams(unet: UNetMotionModel) -> None:
    """Give the cross-attentions the streams of our conditions; their values are zero until they are trained."""
    install_streams(unet, STREAM_TOKENS)
    for processor in unet.attn_processors.values():
        for values in getattr(processor, "to_v_ip", ()):
            values.weight.zero_()
        if isinstance(processor, nn.Module):
            processor.to(unet.conv_in.weight.dtype)
