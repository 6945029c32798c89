"""Makes a model need less memory, on a device and in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_modules.args import MemoryArgs, Precision
from lightning_modules.backbone import Backbone
from lightning_modules.efficiency.stored_weights import StoredWeights, store_weights

DTYPES: dict[Precision, torch.dtype] = {"32": torch.float32, "16": torch.float16, "bf16": torch.bfloat16}

SENSITIVE = ("conv_in", "conv_out", "time_embedding")
"""Layers of few weights, on which all others depend: they are never kept in 8 bit."""

ENCODERS = ("vae.encoder", "pose", "mover", "speech")
"""Parts that only encode, with no gradient through them. The face encoder is not one of them: the identity loss
backpropagates through it."""

MOVED_PIXELS = 2**19
"""Pixels that the mover recomputes at once: two frames of 512 x 512."""


def save_memory(backbone: Backbone, args: MemoryArgs) -> list[StoredWeights]:
    """Apply the settings to a backbone whose adapters are merged, or attached and trainable.

    Returns:
        What has to `settle` whenever the whole model was moved to a device.

    Raises:
        ValueError: If the denoiser has no frozen weights to store.
    """
    if args.vae_slicing:
        backbone.vae.enable_slicing()
    if args.vae_tiling:
        backbone.vae.enable_tiling()
    stored = []
    if args.park_encoders:
        found = [part for name, part in backbone.named_modules() if name in ENCODERS]
        stored += [one for part in found for one in store_weights(part, on_host=True)]
    if args.eight_bit or args.offload:
        if all(parameter.requires_grad for parameter in backbone.unet.parameters()):
            raise ValueError(
                "`memory.eight_bit` and `memory.offload` store frozen weights. Got a denoiser that is trained whole. "
                "Leave them out, or train adapters."
            )
        for name, part in backbone.unet.named_children():
            eight_bit = args.eight_bit and name not in SENSITIVE
            stored += store_weights(part, eight_bit=eight_bit, on_host=args.offload)
    return stored


def move_to_device(backbone: Backbone, device: torch.device, precision: Precision, args: MemoryArgs) -> Backbone:
    """Bring a backbone that is to speak onto its device, weights stored as they were asked for.

    Raises:
        ValueError: On 16 bit on a CPU, which lacks such kernels for half of what a model computes.
    """
    if precision == "16" and device.type == "cpu":
        raise ValueError("`--precision 16` needs a GPU. Got the CPU. Use 32 or bf16.")
    nn.Module.to(backbone.requires_grad_(False), DTYPES[precision])
    stored = save_memory(backbone, args)
    backbone.to(device)
    for weights in stored:
        weights.settle()
    return backbone


def recompute_activations(backbone: Backbone) -> None:
    """Have the backward pass recompute what happens inside of every residual block and transformer, and in the mover.

    diffusers' own switch for the denoiser leaves out the motion modules, and within transformers all but their blocks,
    which is most of the memory at 512 x 512 pixels. That for the autoencoder recomputes three residual blocks at once,
    of which the last, at full size, need 2 GB: within them each is recomputed by itself.
    """
    backbone.unet.enable_gradient_checkpointing()
    backbone.vae.enable_gradient_checkpointing()
    if backbone.mover is not None:
        backbone.mover.forward = partial(_recomputed_in_pieces, backbone.mover.forward)
    for module in backbone.vae.modules():
        if isinstance(module, ResnetBlock2D):
            module.forward = partial(_recomputed, module.forward)
    for module in backbone.unet.modules():
        if isinstance(module, Transformer2DModel | AnimateDiffTransformer3D):
            module.gradient_checkpointing = False
            module.forward = partial(_recomputed, module.forward)


def _recomputed(forward: Callable[..., object], *args: object, **kwargs: object) -> object:
    if torch.is_grad_enabled():
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return forward(*args, **kwargs)


def _recomputed_in_pieces(mover: Callable[..., Tensor], reference: Tensor, own: Tensor, motion: Tensor) -> Tensor:
    """Have a few frames at a time of what the mover does recomputed, of all clips: each frame is for itself."""
    frames = max(1, MOVED_PIXELS // (len(motion) * reference.shape[-2] * reference.shape[-1]))
    if own.ndim == 2 or not torch.is_grad_enabled():
        return _recomputed(mover, reference, own, motion)
    pieces = zip(*(one.split(frames, dim=1) for one in (reference, own, motion)), strict=True)
    return torch.cat([_recomputed(mover, *piece) for piece in pieces], dim=1)
